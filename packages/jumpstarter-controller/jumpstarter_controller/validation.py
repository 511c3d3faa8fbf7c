"""What may be asked for: a request or a change is completed and found good, or refused.

Rule: pure. Everything that a client sends goes through here before anything looks at it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from jumpstarter.model.selectors import Operator, Requirement, SelectorError, parse_selector

from .errors import InvalidRequest
from .names import is_label_name, is_label_value
from .objects import LeaseRequest

MAX_CONTEXT = 8
MAX_CONTEXT_KEY = 32
MAX_CONTEXT_VALUE = 64
RESERVED_TAGS = re.compile(r"(.*\.)?(jumpstarter\.dev|kubernetes\.io|k8s\.io)\b")

LONGEST = timedelta(days=36525)
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(3000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """When a lease is to begin and end, as far as that is known."""

    duration: timedelta | None = None
    begin: datetime | None = None
    end: datetime | None = None


def canonical_selector(selector: str) -> str:
    """Return the one spelling of a selector that is kept and shown; empty for an empty one."""
    try:
        wanted = parse_selector(selector)
    except SelectorError as error:
        raise InvalidRequest(error.message) from None
    unwanted: dict[str, set[str]] = {}
    texts: list[tuple[str, str]] = []
    for item in wanted:
        if item.operator is Operator.NOT_EQUALS:
            unwanted.setdefault(item.key, set()).update(item.values)
        else:
            texts.append((item.key, _text(item)))
    for key, values in unwanted.items():
        texts.append((key, f"{key} notin ({','.join(sorted(values))})"))
    return ",".join(text for _, text in sorted(dict.fromkeys(texts)))


def _text(item: Requirement) -> str:
    match item.operator:
        case Operator.EXISTS:
            return item.key
        case Operator.NOT_EXISTS:
            return f"!{item.key}"
        case Operator.EQUALS:
            return f"{item.key}={item.values[0]}"
        case _:
            return f"{item.key} {item.operator} ({','.join(sorted(set(item.values)))})"


def check_request(request: LeaseRequest, max_tags: int) -> LeaseRequest:
    """Return the request with its selector in canonical form and its times complete."""
    selector = canonical_selector(request.selector)
    if not selector and not request.exporter_name:
        raise InvalidRequest("a lease needs a selector, the name of an exporter, or both")
    check_tags(request.tags, max_tags)
    check_context(request.context)
    times = complete(
        Times(duration=request.duration, begin=request.begin_time, end=request.end_time)
    )
    return replace(
        request,
        selector=selector,
        exporter_name=request.exporter_name or None,
        duration=times.duration,
        begin_time=times.begin,
        end_time=times.end,
    )


def complete(times: Times) -> Times:
    """Return the times with what follows from them, or refuse them."""
    _check_range(times)
    if times.begin is not None and times.end is not None:
        return _between(times, times.begin, times.end)
    if times.duration is None:
        raise InvalidRequest("a lease needs a duration, or both a begin and an end")
    if times.end is not None:
        return replace(times, begin=times.end - times.duration)
    return times


def _between(times: Times, begin: datetime, end: datetime) -> Times:
    if end <= begin:
        raise InvalidRequest("the lease would end before it begins")
    length = end - begin
    if times.duration is not None and times.duration != length:
        raise InvalidRequest(
            f"the duration {times.duration} is not the time from begin to end, {length}; "
            "leave one of the three away"
        )
    return replace(times, duration=length)


def _check_range(times: Times) -> None:
    if times.duration is not None and not timedelta() < times.duration <= LONGEST:
        raise InvalidRequest("the duration must be more than 0, and at most 100 years")
    for what, time in (("begin", times.begin), ("end", times.end)):
        if time is not None and not EARLIEST <= time <= LATEST:
            raise InvalidRequest(f"the {what} must be after 1970 and before the year 3000")


def check_tags(tags: Mapping[str, str], max_tags: int) -> None:
    """Refuse tags that are too many, or that no filter could name."""
    if len(tags) > max_tags:
        raise InvalidRequest(f"a lease has at most {max_tags} tags, not {len(tags)}")
    for key, value in tags.items():
        if RESERVED_TAGS.match(key):
            raise InvalidRequest(f"tag {key!r}: this prefix is reserved")
        if not is_label_name(key):
            raise InvalidRequest(f"tag {key!r}: use up to 63 letters, digits, '-', '_' and '.'")
        if not is_label_value(value):
            raise InvalidRequest(
                f"tag {key}: {value!r} is no value; use up to 63 letters, digits, '-', '_' and '.'"
            )


def check_context(context: Mapping[str, str]) -> None:
    """Refuse a context that is too large."""
    if len(context) > MAX_CONTEXT:
        raise InvalidRequest(f"a lease has at most {MAX_CONTEXT} context entries")
    for key, value in context.items():
        if not 0 < len(key) <= MAX_CONTEXT_KEY:
            raise InvalidRequest(f"context key {key!r}: use 1 to {MAX_CONTEXT_KEY} characters")
        if len(value) > MAX_CONTEXT_VALUE:
            raise InvalidRequest(f"context {key}: use up to {MAX_CONTEXT_VALUE} characters")
