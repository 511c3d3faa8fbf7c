"""What is missing when an extra of this package is not installed.

Only the modules that need a third-party library import it, and they say which extra brings it.
"""

from collections.abc import Generator
from contextlib import contextmanager


class MissingExtraError(ImportError):
    """A library that only an extra installs is absent: install the extra that the message names."""


@contextmanager
def extra(name: str) -> Generator[None]:
    """Raise MissingExtraError, naming the extra `name`, when an import inside finds no module."""
    try:
        yield
    except ModuleNotFoundError as error:
        message = (
            f"{error.name} is not installed: run `pip install 'jumpstarter-driver-network[{name}]'`"
        )
        raise MissingExtraError(message, name=error.name) from error
