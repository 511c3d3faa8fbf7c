"""Times and lengths of time on the wire. Pure.

What the wire can say and Python, or a calendar, cannot is refused here, so that nothing further in
can overflow.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from jumpstarter_controller.errors import InvalidRequest

NANOSECONDS: Final = 1_000_000_000
MAX_DURATION: Final = timedelta(days=36_500)
EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2900, 1, 1, tzinfo=UTC)


def timestamp(time: datetime) -> Timestamp:
    """Return `time` for the wire."""
    message = Timestamp()
    message.FromDatetime(time)
    return message


def whole_seconds(time: datetime) -> Timestamp:
    """Return `time` for the wire, without the fraction of its second."""
    return timestamp(time.replace(microsecond=0))


def duration(length: timedelta) -> Duration:
    """Return `length` for the wire."""
    message = Duration()
    message.FromTimedelta(length)
    return message


def parse_timestamp(field: str, message: Timestamp) -> datetime:
    """Return the time that `message` says. Raises InvalidRequest, which names `field`."""
    if not 0 <= message.nanos < NANOSECONDS:
        raise InvalidRequest(f"{field}: the nanoseconds are not between 0 and 999999999")
    first, last = int(EARLIEST.timestamp()), int(LATEST.timestamp())
    if not first <= message.seconds < last:
        raise InvalidRequest(f"{field}: the time is not between {EARLIEST.year} and {LATEST.year}")
    return EARLIEST + timedelta(seconds=message.seconds, microseconds=message.nanos // 1000)


def parse_duration(field: str, message: Duration) -> timedelta:
    """Return the length that `message` says. Raises InvalidRequest, which names `field`."""
    seconds, nanos = message.seconds, message.nanos
    if abs(nanos) >= NANOSECONDS or seconds * nanos < 0:
        raise InvalidRequest(f"{field}: seconds and nanoseconds do not go together")
    if abs(seconds) > MAX_DURATION.total_seconds():
        raise InvalidRequest(f"{field}: longer than {MAX_DURATION.days} days")
    return timedelta(seconds=seconds, microseconds=int(nanos / 1000))
