"""Spans of time as people type them: durations of leases, timeouts."""

import re
from datetime import timedelta

LONGEST = timedelta(days=36500)
SPAN_FORMS = "write 90 (seconds), 30m, 1h30m, 01:30:00 or PT1H30M"

_NUMBER = r"([0-9]+(?:\.[0-9]+)?)"
_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_SHORT = re.compile("".join(rf"(?:{_NUMBER}\s*{unit})?\s*" for unit in _UNITS))
_ISO = re.compile(
    rf"P(?:{_NUMBER}W)?(?:{_NUMBER}D)?(?:T(?=[0-9])(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?"
)
_CLOCK = re.compile(r"([0-9]+):([0-5][0-9]):([0-5][0-9](?:\.[0-9]+)?)")


def parse_span(text: str, least: timedelta | None = None) -> timedelta:
    """Return the span that was typed, from `least` on, without it not nothing.

    Raises ValueError with what is wrong.
    """
    parts = _parts(text.strip())
    if parts is None:
        raise ValueError(f"'{text}' is no duration; {SPAN_FORMS}")
    try:
        span = timedelta(**parts)
    except OverflowError:
        span = LONGEST + LONGEST
    fits = span > timedelta(0) if least is None else span >= least
    if not fits or span > LONGEST:
        bound = "more than 0" if least is None else f"at least {least.total_seconds():g} seconds"
        raise ValueError(
            f"'{text}' is no usable duration: it must be {bound}, and at most {LONGEST.days} days"
        )
    return span


def _parts(text: str) -> dict[str, float] | None:
    if re.fullmatch("[0-9]+", text):
        return {"seconds": float(text)}
    if found := _CLOCK.fullmatch(text):
        return dict(zip(("hours", "minutes", "seconds"), map(float, found.groups()), strict=True))
    short = _SHORT.fullmatch(text.lower()) or _ISO.fullmatch(text.upper())
    if short is None:
        return None
    given = zip(_UNITS.values(), short.groups(), strict=True)
    return {unit: float(number) for unit, number in given if number} or None
