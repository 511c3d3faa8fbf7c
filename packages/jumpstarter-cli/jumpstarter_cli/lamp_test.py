"""Drivers and clients that the tests of the commands serve and call, good ones and bad ones."""

import os
from collections.abc import AsyncGenerator

import anyio
import click
from jumpstarter.client import DriverClient
from jumpstarter.client.decorators import driver_click_group
from jumpstarter.driver import Driver, export


class LampClient(DriverClient):
    """Lights a lamp."""

    def cli(self) -> click.Group:
        @driver_click_group(self)
        def base() -> None:
            """Light a lamp"""

        @base.command()
        def on() -> None:
            """Switch on"""
            click.echo(self.call("on"))

        @base.command()
        @click.argument("value", type=int)
        def answer(value: int) -> int:
            """Return the value"""
            return value

        @base.command()
        @click.argument("method")
        def call(method: str) -> None:
            """Call a method of the driver"""
            self.call(method)

        @base.command()
        def misuse() -> None:
            """Raise what is no error of ours"""
            raise KeyError("wick")

        @base.command()
        def burn() -> None:
            """Follow the lamp until interrupted"""
            for hour in self.streamingcall("burn"):
                click.echo(f"hour {hour:.0f}")

        return base


class Lamp(Driver):
    """A lamp.

    It has no switch.
    """

    @classmethod
    def client(cls) -> str:
        return "jumpstarter_cli.lamp_test.LampClient"

    @export
    def on(self) -> str:
        """Light it."""
        return f"{type(self).__name__} is on"

    @export
    def shatter(self) -> None:
        """Fail as a driver does."""
        raise ValueError("the bulb\nis broken \x1b[31m")

    @export
    def vanish(self) -> None:
        """End the exporter without a word."""
        os._exit(9)

    @export
    def whisper(self) -> None:
        """Write to the log."""
        self.logger.info("psst")

    @export
    async def burn(self) -> AsyncGenerator[int, None]:
        """Yield an hour, and then wait for ever."""
        yield 1
        await anyio.sleep_forever()


class Unlit(Lamp):
    """A lamp whose client class is not installed here."""

    @classmethod
    def client(cls) -> str:
        return "jumpstarter_driver_unlit.client.UnlitClient"


class Broken(Driver):
    """A driver that cannot be built."""

    def __post_init__(self) -> None:
        super().__post_init__()
        raise RuntimeError("no lamp on bus 3")

    @classmethod
    def client(cls) -> str:
        return "jumpstarter_cli.lamp_test.LampClient"
