"""Log records of an exporter on their way to clients.

Every reader gets every record: a handler publishes to a broadcast, which costs next to nothing
while nobody reads. A record becomes a message only when it is sent.
"""

import logging
from collections.abc import Mapping
from typing import Final

from jumpstarter_protocol import jumpstarter_pb2

from jumpstarter.model.status import LogSource
from jumpstarter.model.text import fit
from jumpstarter.streams.broadcast import Broadcast

HISTORY: Final = 256
"""Records that a new reader is given at first."""

RELAYED_PREFIX: Final = "exporter:"
"""Begins the names of the loggers to which a client gives the records of its exporter."""

MAX_TEXT: Final = 1 << 20
"""Bytes of a record's text that are sent: a message of gRPC has room for four times as much."""

_DRIVER_PREFIX: Final = "driver."
_FIELDS: Final = ("driver_type", "operation")


class LogHandler(logging.Handler):
    """Publishes log records; `sources` says where loggers with a certain prefix belong."""

    def __init__(self, broadcast: Broadcast[logging.LogRecord]) -> None:
        """Publish to `broadcast`, from whatever thread logs."""
        super().__init__()
        self._broadcast = broadcast

    def emit(self, record: logging.LogRecord) -> None:
        """Publish `record`, unless it has come from an exporter already.

        A client in this process logs what it is told: it would be told that again, for ever.
        """
        if not record.name.startswith(RELAYED_PREFIX):
            self._broadcast.publish(record)


def record_source(name: str, sources: Mapping[str, LogSource]) -> LogSource:
    """Return the source of a record of the logger `name`: the longest prefix that is known."""
    known = [prefix for prefix in sources if name.startswith(prefix)]
    if known:
        return sources[max(known, key=len)]
    return LogSource.DRIVER if name.startswith(_DRIVER_PREFIX) else LogSource.SYSTEM


def record_to_response(
    record: logging.LogRecord, sources: Mapping[str, LogSource]
) -> jumpstarter_pb2.LogStreamResponse:
    """Return the message that carries `record`, with its traceback where it has one."""
    response = jumpstarter_pb2.LogStreamResponse(
        severity=record.levelname,
        message=_text(record),
        source=record_source(record.name, sources).to_proto(),  # pyright: ignore[reportArgumentType] - the same numbers
    )
    response.timestamp.FromNanoseconds(int(record.created * 1_000_000) * 1_000)
    for name in _FIELDS:
        value = getattr(record, name, None)
        if isinstance(value, str):
            setattr(response, name, value)
    return response


def get_logger(
    name: str, source: LogSource = LogSource.SYSTEM, session: "SourceRegistry | None" = None
) -> logging.Logger:
    """Return the logger `name`, whose records `session` reports as coming from `source`."""
    if session is not None:
        session.add_logger_source(name, source)
    return logging.getLogger(name)


class SourceRegistry:
    """Which logger prefixes stand for which source."""

    def __init__(self) -> None:
        """Know nothing but the drivers' own loggers."""
        self.sources: dict[str, LogSource] = {}

    def add_logger_source(self, prefix: str, source: LogSource) -> None:
        """Report records of loggers whose name starts with `prefix` as coming from `source`."""
        self.sources[prefix] = source


def _text(record: logging.LogRecord) -> str:
    try:
        text = record.getMessage()
    except Exception as error:  # noqa: BLE001 - anybody's `__str__`; it must not end the stream
        where = f"{record.pathname}:{record.lineno}"
        text = f"a record of {where} cannot be told: {type(error).__name__}"
    if record.exc_info:
        text = f"{text}\n{logging.Formatter().formatException(record.exc_info)}"
    return fit(text, MAX_TEXT)
