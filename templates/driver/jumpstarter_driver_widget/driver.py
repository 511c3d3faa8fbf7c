"""The driver: runs beside the device, in the exporter.

Rule: only this module may import what talks to the hardware, so that clients need none of it.
"""

from collections.abc import Generator

from jumpstarter.driver import Driver, export
from pydantic import Field
from pydantic.dataclasses import dataclass


@dataclass(kw_only=True)
class Widget(Driver):
    """A widget with a level; its fields are the keys of `config`."""

    limit: int = 100
    level: int = Field(default=0, init=False)

    @classmethod
    def client(cls) -> str:
        """Name the class that a client uses for this driver."""
        return "jumpstarter_driver_widget.client.WidgetClient"

    @export
    def set_level(self, level: int) -> None:
        """Go to `level` at once.

        Raises:
            ValueError: the device does not take that level.
        """
        if not 0 <= level <= self.limit:
            raise ValueError(f"level {level} is not between 0 and {self.limit}")
        self.level = level

    @export
    def get_level(self) -> int:
        """Return the level now."""
        return self.level

    @export
    def ramp(self, target: int) -> Generator[int, None, None]:
        """Move to `target` step by step and yield each level on the way.

        Raises:
            ValueError: the device does not take that level.
        """
        step = 1 if target > self.level else -1
        while self.level != target:
            self.set_level(self.level + step)
            yield self.level
