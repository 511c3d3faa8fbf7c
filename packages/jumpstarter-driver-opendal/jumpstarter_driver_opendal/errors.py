"""The one place where errors of the storage library become builtin ones.

A message is one line that names what was tried and the path; the library's own texts have many
lines and are not for users.
"""

from collections.abc import Generator
from contextlib import contextmanager

import opendal

_KNOWN: tuple[tuple[type[opendal.exceptions.Error], type[Exception], str], ...] = (
    (opendal.exceptions.NotFound, FileNotFoundError, "no such file or directory"),
    (opendal.exceptions.PermissionDenied, PermissionError, "permission denied"),
    (opendal.exceptions.IsADirectory, IsADirectoryError, "is a directory; name a file"),
    (opendal.exceptions.NotADirectory, NotADirectoryError, "is not a directory"),
    (opendal.exceptions.AlreadyExists, FileExistsError, "exists already"),
    (opendal.exceptions.IsSameFile, ValueError, "source and target are the same file"),
    (opendal.exceptions.Unsupported, NotImplementedError, "this storage service cannot do that"),
)


@contextmanager
def translated(operation: str, path: str) -> Generator[None]:
    """Raise errors of the storage library as builtin ones that name `operation` and `path`.

    Those are FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError,
    FileExistsError, ValueError, NotImplementedError, and OSError for the rest.
    """
    try:
        yield
    except opendal.exceptions.Error as error:
        raise builtin_error(error, operation, path) from error
    except OSError as error:
        # Open files raise these, with the library's text.
        raise type(error)(f"{operation} {path!r}: {first_line(error)}") from error


def builtin_error(error: opendal.exceptions.Error, operation: str, path: str) -> Exception:
    """Return the builtin exception that tells the same as `error`."""
    for theirs, ours, reason in _KNOWN:
        if isinstance(error, theirs):
            return ours(f"{operation} {path!r}: {reason}")
    return OSError(f"{operation} {path!r}: {first_line(error)}")


def first_line(error: Exception) -> str:
    """Return the sentence of the library's text that says what went wrong."""
    line, _, _ = str(error).partition("\n")
    return line.rpartition("=> ")[2]
