"""The client of a group of drivers: its children are its attributes and its command groups."""

import logging
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import click
from jumpstarter.client import DriverClient
from jumpstarter.client.base import StubDriverClient
from jumpstarter.client.decorators import driver_click_group

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


@runtime_checkable
class _HasCommands(Protocol):
    def cli(self) -> click.Command: ...


@dataclass(kw_only=True)
class CompositeClient(DriverClient):
    """Reaches children as attributes: `client.power.on()` for the child named `power`.

    A child with the name of something that the client has itself is in `children` only.
    """

    def __getattr__(self, name: str) -> DriverClient:
        """Return the child `name`; AttributeError when there is none."""
        children: dict[str, DriverClient] = self.__dict__.get("children", {})
        try:
            return children[name]
        except KeyError:
            known = ", ".join(children) or "none"
            message = f"{type(self).__name__} has no attribute or child {name!r}; children: {known}"
            raise AttributeError(message, name=name, obj=self) from None

    def close(self) -> None:
        """Close the children."""
        for child in self.children.values():
            child.close()

    def cli(self) -> click.Group:
        """Return one command per child that has any, under the child's name."""

        @driver_click_group(self)
        @click.option(
            "--log-level",
            type=click.Choice(_LEVELS, case_sensitive=False),
            metavar="|".join(_LEVELS),
            help="Show log records from this level up",
        )
        def base(log_level: str | None) -> None:
            """Use drivers, one command for each"""
            if log_level is not None:
                _set_log_level(log_level)

        for name, child in self.children.items():
            # A stand-in for a missing class raises ImportError for whatever it is asked.
            if not isinstance(child, StubDriverClient) and isinstance(child, _HasCommands):
                base.add_command(child.cli(), name)
        return base


def _set_log_level(level: str) -> None:
    """Set the level of all loggers there are; some have one of their own."""
    logging.getLogger().setLevel(level)
    for name in list(logging.Logger.manager.loggerDict):
        logging.getLogger(name).setLevel(level)
