"""Clients of power supplies, and their commands."""

from collections.abc import Generator

import anyio
import click
from jumpstarter.client import DriverClient
from jumpstarter.client.decorators import driver_click_group

from .common import PowerReading


class PowerClient(DriverClient):
    """Switches the power of a device."""

    def on(self) -> None:
        """Switch the power on."""
        self.call("on")

    def off(self) -> None:
        """Switch the power off."""
        self.call("off")

    def rescue(self) -> None:
        """Start the device in its rescue mode.

        Raises DriverMethodNotImplemented when its driver knows of none.
        """
        self.call("rescue")

    def cycle(self, wait: int = 2) -> None:
        """Switch the power off and, after `wait` seconds, on again."""
        self.off()
        # How long a device holds its charge is outside our control, and nothing tells.
        self.portal.call(anyio.sleep, wait)
        self.on()

    def read(self) -> Generator[PowerReading, None, None]:
        """Yield readings until the driver has no more; closing the generator stops the driver.

        Raises ValueError when the driver sends something that is no reading.
        """
        for reading in self.streamingcall("read"):
            yield PowerReading.model_validate(reading, strict=True)

    def cli(self) -> click.Group:
        """Return the commands on, off, cycle and read."""

        @driver_click_group(self)
        def base() -> None:
            """Switch the power of the device"""

        for command in (_on(self), _off(self), _cycle(self), _read(self)):
            base.add_command(command)
        return base


class VirtualPowerClient(PowerClient):
    """Starts and stops a virtual machine."""

    def off(self, destroy: bool = False) -> None:  # noqa: FBT001, FBT002 - public API
        """Stop the machine, and throw its state away if `destroy`."""
        self.call("off", destroy)

    def cli(self) -> click.Group:
        """Return the commands of any supply, and `--destroy` for off."""
        base = super().cli()
        base.add_command(_virtual_off(self))
        return base


def _on(client: PowerClient) -> click.Command:
    @click.command()
    def on() -> None:
        """Switch on"""
        client.on()

    return on


def _off(client: PowerClient) -> click.Command:
    @click.command()
    def off() -> None:
        """Switch off"""
        client.off()

    return off


def _virtual_off(client: VirtualPowerClient) -> click.Command:
    @click.command()
    @click.option("--destroy", is_flag=True, help="Throw the machine's state away")
    def off(*, destroy: bool) -> None:
        """Switch off"""
        client.off(destroy)

    return off


def _cycle(client: PowerClient) -> click.Command:
    @click.command()
    @click.option(
        "-w",
        "--wait",
        type=click.IntRange(min=0),
        default=2,
        show_default=True,
        help="Seconds without power",
    )
    def cycle(wait: int) -> None:
        """Switch off, wait, switch on"""
        click.echo(f"Power cycling, {wait} s without power")
        client.cycle(wait)

    return cycle


def _read(client: PowerClient) -> click.Command:
    @click.command()
    @click.option(
        "-n",
        "--count",
        type=click.IntRange(min=0),
        default=1,
        show_default=True,
        help="How often to measure; 0 means until interrupted",
    )
    @click.option(
        "-i",
        "--interval",
        type=click.FloatRange(min=0),
        default=1.0,
        show_default=True,
        help="Seconds between measurements",
    )
    def read(count: int, interval: float) -> None:
        """Measure voltage and current"""
        done = 0
        while True:
            for reading in client.read():
                click.echo(_line(reading))
            done += 1
            if done == count:
                return
            # The pace that the user asked for.
            client.portal.call(anyio.sleep, interval)

    return read


def _line(reading: PowerReading) -> str:
    return (
        f"voltage={reading.voltage} V  current={reading.current} A  "
        f"apparent_power={reading.apparent_power} VA"
    )
