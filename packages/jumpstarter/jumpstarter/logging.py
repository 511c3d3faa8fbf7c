"""Log output of a program: where its lines go, how they look, and what context they carry.

Context is `key=value` texts, such as the lease, that belong to all records of a task, or of the
process. It is added where a line is written, so code that logs does not know of it.
"""

import json
import logging
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import IO, Literal

__all__ = [
    "LogFormat",
    "setup_logging",
    "set_log_context",
    "clear_log_context",
    "set_persistent_log_context",
    "unbind_log_context",
]

LogFormat = Literal["auto", "json", "text"]
"""`auto` is text on a terminal and JSON elsewhere."""

_NOTHING: Mapping[str, str] = {}
_of_task: ContextVar[Mapping[str, str]] = ContextVar("jumpstarter_log_context", default=_NOTHING)
_of_process: dict[str, str] = {}


def setup_logging(
    level: str | int = "INFO", log_format: LogFormat = "auto", stream: IO[str] | None = None
) -> None:
    """Write the records of all loggers from `level` up to `stream`, by default standard error.

    Takes the place of whatever handlers the root logger has. Raises ValueError for an unknown
    level.
    """
    target = sys.stderr if stream is None else stream
    as_text = log_format == "text" or (log_format == "auto" and target.isatty())
    handler = logging.StreamHandler(target)
    handler.setFormatter(TextFormatter() if as_text else JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)


def set_log_context(**values: object) -> None:
    """Add `values` to the context of this task, and of tasks that it starts from now on."""
    _of_task.set({**_of_task.get(), **_texts(values)})


def clear_log_context() -> None:
    """Forget the context of this task; that of the process stays."""
    _of_task.set(_NOTHING)


def set_persistent_log_context(**values: object) -> None:
    """Add `values` to the context of the whole process."""
    _of_process.update(_texts(values))


def unbind_log_context(*keys: str) -> None:
    """Forget `keys`, of this task and of the process; absent ones are no error."""
    _of_task.set({key: value for key, value in _of_task.get().items() if key not in keys})
    for key in keys:
        _of_process.pop(key, None)


class TextFormatter(logging.Formatter):
    """Lines for people: time, level, logger, message, then the context."""

    def __init__(self) -> None:
        """Make the formatter."""
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the base's name
        """Return the line without the traceback, which follows below it."""
        context = "".join(f" {key}={value}" for key, value in _context().items())
        return super().formatMessage(record) + context


class JsonFormatter(logging.Formatter):
    """Lines for programs: one JSON object each."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        entry = {
            **_context(),
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "severity": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def _context() -> Mapping[str, str]:
    return {**_of_process, **_of_task.get()}


def _texts(values: Mapping[str, object]) -> dict[str, str]:
    return {key: str(value) for key, value in values.items()}
