"""What the lab refuses, named for what the caller can do about it.

The text is one line for the person who asked. It never contains the word "expired", which makes
shipped clients log in again.
"""

# ruff: noqa: N818 - they read as what happened, like the names of the statuses that they become


class LabError(Exception):
    """Base of everything that is refused on purpose; `message` is the line to show."""

    def __init__(self, message: str) -> None:
        """Keep the line."""
        super().__init__(message)
        self.message = message


class NotFound(LabError):
    """No such object: correct the name."""


class AlreadyExists(LabError):
    """The name is taken: choose another."""


class Forbidden(LabError):
    """The caller may not do this, whoever else may."""


class InvalidRequest(LabError):
    """The request is wrong in itself: correct it."""


class WrongState(LabError):
    """The object is not in a state for this: look at it again."""


class Busy(LabError):
    """Something is in the way that will go by itself: try again."""


class StoreUnavailable(LabError):
    """The database cannot be read or written: the operator must act. Nothing was changed."""


class WrongSchema(StoreUnavailable):
    """The database was made by a newer release: install that release, or restore a backup."""


class Closed(LabError):
    """The engine is shutting down: try again elsewhere or later."""
