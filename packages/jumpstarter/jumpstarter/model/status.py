"""The status of an exporter and the source of a log record, with the numbers of `common.proto`."""

from enum import IntEnum
from typing import Self

STATUS_AFTER_KEY = "jumpstarter-status-after"
"""Metadata of GetStatus: the version that the caller knows, which an exporter of ours need not say.

It answers when there is another one, or after `HOLD_SECONDS`, and sends the key back, so that the
caller knows that it may ask again at once. An exporter of release 0.9.0 knows nothing of this.
"""

HOLD_SECONDS = 10.0
"""Seconds for which an answer to GetStatus is held back while nothing changes."""

HOOK_WARNING_PREFIX = "[HOOK_WARNING] "
"""A status message that starts so is shown to the user as a warning."""


class _ProtoEnum(IntEnum):
    """An enum whose values are the protocol's numbers and whose text is the bare name."""

    def __str__(self) -> str:
        return self.name

    @classmethod
    def from_proto(cls, value: int) -> Self:
        """Return the member for a number from the wire; numbers of a newer peer are UNSPECIFIED."""
        try:
            return cls(value)
        except ValueError:
            return cls(0)

    def to_proto(self) -> int:
        """Return the number for the wire."""
        return int(self)


class ExporterStatus(_ProtoEnum):
    """What an exporter is doing; only some of these accept calls."""

    UNSPECIFIED = 0
    OFFLINE = 1
    AVAILABLE = 2
    BEFORE_LEASE_HOOK = 3
    LEASE_READY = 4
    AFTER_LEASE_HOOK = 5
    BEFORE_LEASE_HOOK_FAILED = 6
    AFTER_LEASE_HOOK_FAILED = 7


class LogSource(_ProtoEnum):
    """Where a log record came from."""

    UNSPECIFIED = 0
    DRIVER = 1
    BEFORE_LEASE_HOOK = 2
    AFTER_LEASE_HOOK = 3
    SYSTEM = 4


READY = frozenset({ExporterStatus.LEASE_READY})
"""Statuses in which a client may call drivers."""

READY_OR_HOOK = READY | {ExporterStatus.BEFORE_LEASE_HOOK, ExporterStatus.AFTER_LEASE_HOOK}
"""Statuses in which a hook may call drivers."""
