"""What a user is told about an error: one line on standard error, and the exit code.

An error that somebody raised on purpose says by itself what to do. Any other one is named by its
type as well, and shows where it came from only when the log level is DEBUG.
"""

import logging
import traceback
from dataclasses import dataclass

import click
from jumpstarter.config.problems import printable
from jumpstarter.model.errors import HookExecutionError, JumpstarterException

FAILED = 1
INTERRUPTED = 2

_REFUSED = "Error from server ("

# Their text was written for people, so that the name of the type adds nothing.
_SPEAKING = (ValueError, ImportError, NotImplementedError, TimeoutError, OSError)


@dataclass(frozen=True, slots=True)
class Failure:
    """The line to show and the code to exit with."""

    line: str
    code: int


def failure_of(error: BaseException) -> Failure:
    """Return what to say about `error`; of a group, about the first one in it."""
    match error:
        case BaseExceptionGroup():
            return failure_of(error.exceptions[0])
        case KeyboardInterrupt():
            return Failure("interrupted", INTERRUPTED)
        case click.Abort():
            interrupted = isinstance(error.__cause__, KeyboardInterrupt)
            return Failure("interrupted", INTERRUPTED) if interrupted else Failure("aborted", 1)
        case click.ClickException():
            return Failure(_line(_click_text(error)), error.exit_code)
        case JumpstarterException() | HookExecutionError():
            return Failure(_line(error.message), FAILED)
        case _:
            return Failure(_line(_text(error)), FAILED)


def report(error: BaseException) -> int:
    """Tell the user about `error`, and return the exit code."""
    if logging.getLogger().isEnabledFor(logging.DEBUG):
        click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    failure = failure_of(error)
    tell(failure.line)
    return failure.code


def tell(line: str) -> None:
    """Write the line of an error, red on a terminal; what a controller refused says so itself."""
    text = line if line.startswith(_REFUSED) else f"Error: {line}"
    click.secho(text, fg="red", err=True)


def _click_text(error: click.ClickException) -> str:
    text = error.format_message()
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is None:
        return text
    stop = "" if text.endswith((".", "?")) else "."
    return f"{text}{stop} Try '{context.command_path} --help'."


def _text(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        where = "" if error.filename is None else f"{error.filename}: "
        return f"{where}{error.strerror}"
    if isinstance(error, _SPEAKING) and str(error):
        return str(error)
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _line(text: str) -> str:
    return printable(" ".join(text.split()))
