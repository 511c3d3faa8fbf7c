"""Where the log of the program goes: to standard error, from the level that was asked for."""

import logging
from typing import Literal, NamedTuple, TypeAlias

from jumpstarter.logging import TextFormatter, setup_logging

LogFormat: TypeAlias = Literal["auto", "json", "text"]


class LogChoice(NamedTuple):
    """What was asked for; without a level, the command has one of its own."""

    level: str | None
    form: LogFormat


def log_to_person(choice: LogChoice) -> None:
    """Show warnings, or what was asked for, to the one who typed the command."""
    _log(choice.level or "WARNING", "text")


def log_to_service(choice: LogChoice) -> None:
    """Write the log of a program that runs for a long time, in the form that was asked for."""
    _log(choice.level or "INFO", choice.form)


def show_hooks() -> None:
    """Show what hooks print, whatever the level: the one who typed the command waits for them."""
    if logging.getLogger().level > logging.INFO:
        handler = logging.StreamHandler()
        handler.setFormatter(TextFormatter())
        logging.getLogger("hook").addHandler(handler)


def show_exporter_logs(*, everything: bool) -> None:
    """Show what the hooks of a leased exporter print, and with `everything` its own log too.

    Whatever the level: the one who typed the command waits for it, or has asked for it.
    """
    if logging.getLogger().level <= logging.INFO:
        return
    handler = logging.StreamHandler()
    handler.setFormatter(TextFormatter())
    names = ["exporter:beforeLease", "exporter:afterLease"]
    for name in [*names, *(["exporter:driver", "exporter:system"] if everything else [])]:
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        logger.handlers = [handler]
        logger.propagate = False


def _log(level: str, form: LogFormat) -> None:
    setup_logging(level, form)
    root = logging.getLogger()
    # A driver sets the level of its own logger, so that of the root does not hold its records back.
    for handler in root.handlers:
        handler.setLevel(root.level)
