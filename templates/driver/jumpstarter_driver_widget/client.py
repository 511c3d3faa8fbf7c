"""The client: what a test or the command line holds in its hands.

Rule: it imports nothing of the driver; both sides meet only in the names of the exported methods.
"""

from collections.abc import Generator

import click
from jumpstarter.client import DriverClient
from jumpstarter.client.decorators import driver_click_group


class WidgetClient(DriverClient):
    """Sets the level of a widget, and follows it."""

    def set_level(self, level: int) -> None:
        """Go to `level` at once.

        Raises:
            DriverInvalidArgument: the device does not take that level.
        """
        self.call("set_level", level)

    def get_level(self) -> int:
        """Return the level now."""
        return int(self.call("get_level"))

    def ramp(self, target: int) -> Generator[int, None, None]:
        """Move to `target` step by step and yield each level on the way.

        Raises:
            DriverInvalidArgument: the device does not take that level.
        """
        yield from map(int, self.streamingcall("ramp", target))

    def cli(self) -> click.Group:
        """Return the commands of this device under `j`."""

        @driver_click_group(self)
        def base() -> None:
            """Widget."""

        @base.command(name="set")
        @click.argument("level", type=int)
        def set_(level: int) -> None:
            """Go to LEVEL at once."""
            self.set_level(level)

        @base.command()
        def get() -> None:
            """Print the level now."""
            click.echo(self.get_level())

        @base.command()
        @click.argument("target", type=int)
        def ramp(target: int) -> None:
            """Move to TARGET step by step."""
            for level in self.ramp(target):
                click.echo(level)

        return base
