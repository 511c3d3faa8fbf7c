"""Spans and instants as they are typed, as types of arguments of commands."""

from collections.abc import Callable
from datetime import datetime, timedelta

import click
from jumpstarter.model.spans import LONGEST as LONGEST
from jumpstarter.model.spans import parse_span as parse_span


def parse_instant(text: str) -> datetime:
    """Return the instant that was typed, without a zone in that of this machine.

    Raises ValueError with what is wrong.
    """
    try:
        return datetime.fromisoformat(text.strip()).astimezone()
    except (ValueError, OverflowError, OSError):
        raise ValueError(
            f"'{text}' is no date and time; write them as 2030-01-31T08:00 or 2030-01-31T08:00Z"
        ) from None


def span_type(least: timedelta | None = None) -> Callable[[str], timedelta]:
    """Return the type of an argument that is a span, from `least` on, without it not nothing."""

    def duration(text: str) -> timedelta:
        try:
            return parse_span(text, least)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None

    return duration


def datetime_type(text: str) -> datetime:
    """Return the instant that was typed; raises BadParameter."""
    try:
        return parse_instant(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


datetime_type.__name__ = "datetime"

SPAN = span_type()
INSTANT = datetime_type
