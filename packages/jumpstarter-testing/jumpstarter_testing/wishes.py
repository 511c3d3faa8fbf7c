"""What tests ask of a lab: which device, as which client, for how long.

Rule: pure. The options of the command line and the variables of a class become one `Wish`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar

from jumpstarter.model.selectors import parse_selector
from jumpstarter.model.spans import parse_span

R = TypeVar("R")

HALF_AN_HOUR = timedelta(minutes=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A device of a lab; None stands for what was not said.

    Attributes:
        selector: the labels that it must have.
        exporter: its name.
        lease: the name of a lease that there is already; it is not released.
        client: the alias or the file of the client that asks.
        duration: how long a new lease lasts.
        timeout: how long to wait for the device.
    """

    selector: str | None = None
    exporter: str | None = None
    lease: str | None = None
    client: str | None = None
    duration: timedelta = HALF_AN_HOUR
    timeout: timedelta | None = None

    @property
    def words(self) -> str:
        """The device as a message names it."""
        if self.lease is not None:
            return f"lease {self.lease}"
        named = f"exporter {self.exporter}" if self.exporter else "a device"
        return f"{named} with {self.selector}" if self.selector else named


def option_wish(
    *,
    selector: list[str] | None,
    exporter: str | None,
    lease: str | None,
    client: str | None,
    duration: str | None,
    timeout: str | None,
) -> Wish:
    """Return what the options say; raises ValueError with the line to show."""
    if lease is not None and (selector or exporter is not None or duration is not None):
        raise ValueError(
            "--jmp-lease names a lease that there is already: leave out --jmp-selector, "
            "--jmp-exporter and --jmp-duration"
        )
    joined = ",".join(selector or ()) or None
    _check("--jmp-selector", parse_selector, joined)
    return Wish(
        selector=joined,
        exporter=exporter,
        lease=lease,
        client=client,
        duration=_check("--jmp-duration", parse_span, duration) or HALF_AN_HOUR,
        timeout=_check("--jmp-acquisition-timeout", parse_span, timeout),
    )


def class_wish(options: Wish, selector: str, exporter: str | None) -> Wish:
    """Return what a class of tests asks for beside the options, which are stronger.

    Both selectors must hold. A lease that an option names has chosen the device already.
    """
    if options.lease is not None:
        return options
    both = ",".join(text for text in (options.selector, selector) if text) or None
    return replace(options, selector=both, exporter=options.exporter or exporter)


def _check(option: str, parse: Callable[[str], R], text: str | None) -> R | None:
    if text is None:
        return None
    try:
        return parse(text)
    except ValueError as error:
        message = f"{option}: {error}"
        raise ValueError(message) from None
