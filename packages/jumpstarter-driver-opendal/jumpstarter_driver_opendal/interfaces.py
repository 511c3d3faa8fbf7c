"""What drivers promise that put images on a device or on a card that can change sides."""

from abc import ABCMeta, abstractmethod
from typing import ClassVar

from jumpstarter.driver import FlasherInterface as CoreFlasherInterface


class FlasherInterface(CoreFlasherInterface):
    """Mix-in for drivers that write images to a device, with the client of this package.

    Handles are what a client sends for `self.resource(...)`; implementations export both methods.
    """

    @classmethod
    def client(cls) -> str:
        """Return the dotted path of the client class."""
        return "jumpstarter_driver_opendal.client.FlasherClient"


class StorageMuxInterface(metaclass=ABCMeta):
    """Mix-in for drivers of a storage that is connected to the host, to the device, or to neither.

    Implementations export all methods.
    """

    driver_type: ClassVar[str] = "storage"

    @classmethod
    def client(cls) -> str:
        """Return the dotted path of the client class."""
        return "jumpstarter_driver_opendal.client.StorageMuxClient"

    @abstractmethod
    async def host(self) -> None:
        """Connect the storage to the host."""

    @abstractmethod
    async def dut(self) -> None:
        """Connect the storage to the device under test."""

    @abstractmethod
    async def off(self) -> None:
        """Disconnect the storage from both."""

    @abstractmethod
    async def write(self, src: str) -> None:
        """Write the bytes of the handle `src` to the storage, from its beginning."""

    @abstractmethod
    async def read(self, dst: str) -> None:
        """Write the content of the storage to the handle `dst`."""


class StorageMuxFlasherInterface(StorageMuxInterface):
    """Mix-in for a storage multiplexer whose client can also be used as a flasher."""

    @classmethod
    def client(cls) -> str:
        """Return the dotted path of the client class."""
        return "jumpstarter_driver_opendal.client.StorageMuxFlasherClient"
