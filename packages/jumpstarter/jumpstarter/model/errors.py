"""Every error that this package raises to its callers, named for what the caller can do about it.

A message is one line that says what is wrong, where, and what to do. The public paths are
`jumpstarter.common.exceptions`, `jumpstarter.client.core` and `jumpstarter.client.exceptions`.
"""

import builtins
import sys
from typing import Self


class JumpstarterException(Exception):
    """Base of all errors raised on purpose; `message` is the line to show to a user."""

    def __init__(self, message: str) -> None:
        """Keep `message`, without the cause that `str()` appends."""
        super().__init__(message)
        self.message = message
        self._config: object = None

    def __str__(self) -> str:
        """Return the message, and the cause where there is one."""
        if self.__cause__ is None:
            return self.message
        return f"{self.message} (Caused by: {self.__cause__})"

    def set_config(self, config: object) -> Self:
        """Attach the client configuration in use, for those who log in again after an error."""
        self._config = config
        return self

    def get_config(self) -> object:
        """Return what `set_config` attached, or None."""
        return self._config

    def print(self, message: str | None = None) -> None:
        """Write one line to standard error: `message`, else this error's own."""
        sys.stderr.write(f"{message or self.message}\n")


class ConnectionError(JumpstarterException):
    """The far side cannot be reached, or refused. Not the builtin of the same name."""


class ExporterOfflineError(ConnectionError):
    """The exporter is known but not connected: wait, or choose another."""


class ControllerAnswerError(ConnectionError, ValueError):
    """A controller answered something that makes no sense: its release does not fit ours."""


class ExporterUnreachableError(JumpstarterException):
    """The exporter did not answer its first call: release the lease and try again."""


class ConfigurationError(JumpstarterException, ValueError):
    """A configuration file or value is wrong: correct it."""


class ArgumentError(JumpstarterException):
    """A call was made with arguments that do not go together."""


class ReauthenticationFailed(JumpstarterException):
    """The token expired and could not be renewed: log in again."""


class EnvironmentVariableNotSetError(JumpstarterException):
    """A needed environment variable is missing: run inside `jmp shell`, or set it."""


class FileNotFoundError(JumpstarterException, builtins.FileNotFoundError):
    """A file that was asked for by name does not exist."""

    # OSError formats `filename` and `strerror` in its own `__str__`; the message is ours.
    __str__ = JumpstarterException.__str__


class MissingDriverError(JumpstarterException):
    """A driver or client class cannot be used here: install its package, or allow it."""

    def __init__(self, message: str, class_path: str) -> None:
        """Keep `class_path`, the dotted path that was asked for."""
        super().__init__(message)
        self.class_path = class_path


class DriverError(JumpstarterException):
    """A call to a driver failed on the exporter."""


class DriverMethodNotImplemented(DriverError, NotImplementedError):
    """The driver has no such method."""


class DriverInvalidArgument(DriverError, ValueError):
    """The driver refused an argument, or the argument cannot be carried."""


class ExporterNotReady(DriverError):
    """The exporter does not accept calls in its present status."""


class LeaseError(JumpstarterException):
    """A lease could not be had or kept."""


class LeaseEndedError(LeaseError):
    """The time of a lease is over, or it was released: take another one."""


class LeaseTransferredError(LeaseError):
    """A lease is another client's now: that one goes on."""


class HookExecutionError(Exception):
    """A hook script failed; `on_failure` says what the configuration wants done about it."""

    def __init__(self, message: str, on_failure: str, hook_type: str) -> None:
        """Keep what failed, what to do, and which of the hooks it was."""
        super().__init__(message)
        self.message = message
        self.on_failure = on_failure
        self.hook_type = hook_type


class ValueEncodingError(ValueError):
    """A value cannot be carried on the wire without turning into another one."""


class MethodNotFoundError(LookupError):
    """A driver has no method of that name, or does not export it in that way."""
