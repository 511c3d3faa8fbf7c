"""Commands of driver clients, whose help the exporter's configuration may replace.

The help of a group or command comes from the configuration of the driver (`description` and
`methods_description`) where it says something, else from the code. Nothing else differs from click.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import click

__all__ = ["DriverClickGroup", "driver_click_command", "driver_click_group"]


class Described(Protocol):
    """What is read of a client: texts for its commands, from the exporter's configuration."""

    @property
    def description(self) -> str | None:
        """The help of the group, or None."""
        ...

    @property
    def methods_description(self) -> Mapping[str, str]:
        """The help of single commands, by command name."""
        ...


class DriverClickGroup(click.Group):
    """A click group whose commands take their help from the client's `methods_description`."""

    def __init__(
        self,
        client: Described,
        *args: Any,  # noqa: ANN401 - click's own arguments
        **kwargs: Any,  # noqa: ANN401 - click's own arguments
    ) -> None:
        """Make a group for `client`; the other arguments are those of `click.Group`."""
        super().__init__(*args, **kwargs)
        self.client = client

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Add `cmd`, with the help that the configuration has for it. Groups keep theirs."""
        if not isinstance(cmd, click.Group):
            for known in (name or cmd.name, _function_name(cmd)):
                if known is not None and known in self.client.methods_description:
                    cmd.help = self.client.methods_description[known]
                    break
        super().add_command(cmd, name)


def driver_click_group(
    client: Described,
    **kwargs: Any,  # noqa: ANN401 - click's own arguments
) -> Callable[[Callable[..., object]], DriverClickGroup]:
    """Return a decorator that makes a function the group of `client`'s commands.

    The arguments are those of `click.group`; `client.description` wins over `help` and docstring.
    """
    return click.command(cls=DriverClickGroup, client=client, **_described(client, kwargs))


def driver_click_command(
    client: Described,
    **kwargs: Any,  # noqa: ANN401 - click's own arguments
) -> Callable[[Callable[..., object]], click.Command]:
    """Return a decorator that makes a function the only command of `client`.

    The arguments are those of `click.command`; `client.description` wins over `help` and docstring.
    """
    return click.command(**_described(client, kwargs))


def _described(client: Described, attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {**attributes, "help": client.description} if client.description else {**attributes}


def _function_name(command: click.Command) -> str | None:
    """Return the command name that the function alone would give.

    click 8.2 and later drop an ending like `_command` from it, and earlier ones do not.
    """
    name = getattr(command.callback, "__name__", None)
    return name.lower().replace("_", "-") if isinstance(name, str) else None
