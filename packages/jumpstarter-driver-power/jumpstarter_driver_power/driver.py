"""What a driver promises that switches power, and two drivers that only pretend to.

A real supply implements one of the interfaces and exports its methods; each may be a plain
function, which runs in a thread, or a coroutine function.
"""

from abc import ABCMeta, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Generator
from typing import ClassVar

from jumpstarter.driver import Driver, export

from .common import PowerReading as PowerReading

_READINGS = (PowerReading(voltage=0.0, current=0.0), PowerReading(voltage=5.0, current=2.0))


class PowerInterface(metaclass=ABCMeta):
    """Switches the power of a device."""

    driver_type: ClassVar[str] = "power"

    @classmethod
    def client(cls) -> str:
        """Return the dotted path of the client class."""
        return "jumpstarter_driver_power.client.PowerClient"

    @abstractmethod
    def on(self) -> Awaitable[None] | None:
        """Switch the power on; no effect if it is on."""

    @abstractmethod
    def off(self) -> Awaitable[None] | None:
        """Switch the power off; no effect if it is off."""

    @abstractmethod
    def read(self) -> AsyncGenerator[PowerReading, None] | Generator[PowerReading, None, None]:
        """Yield what the supply delivers, as often as it measures."""


class VirtualPowerInterface(metaclass=ABCMeta):
    """Starts and stops a virtual machine, whose state may outlive being switched off."""

    driver_type: ClassVar[str] = "power"

    @classmethod
    def client(cls) -> str:
        """Return the dotted path of the client class."""
        return "jumpstarter_driver_power.client.VirtualPowerClient"

    @abstractmethod
    def on(self) -> Awaitable[None] | None:
        """Start the machine."""

    @abstractmethod
    def off(self, destroy: bool = False) -> Awaitable[None] | None:  # noqa: FBT001, FBT002 - calls carry positions only
        """Stop the machine, and throw its state away if `destroy`."""

    @abstractmethod
    def read(self) -> AsyncGenerator[PowerReading, None] | Generator[PowerReading, None, None]:
        """Yield what the supply delivers, as often as it measures."""


class MockPower(PowerInterface, Driver):
    """A supply that only logs what it is told; its methods are coroutine functions."""

    @export
    async def on(self) -> None:
        """Log that the power is on."""
        self.logger.info("power on")

    @export
    async def off(self) -> None:
        """Log that the power is off."""
        self.logger.info("power off")

    @export
    async def read(self) -> AsyncGenerator[PowerReading, None]:
        """Yield a reading without power and one of 5 V and 2 A."""
        for reading in _READINGS:
            yield reading


class SyncMockPower(PowerInterface, Driver):
    """A supply that only logs what it is told; its methods are plain functions."""

    @export
    def on(self) -> None:
        """Log that the power is on."""
        self.logger.info("power on")

    @export
    def off(self) -> None:
        """Log that the power is off."""
        self.logger.info("power off")

    @export
    def read(self) -> Generator[PowerReading, None, None]:
        """Yield a reading without power and one of 5 V and 2 A."""
        yield from _READINGS
