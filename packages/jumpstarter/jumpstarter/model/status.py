"""The status of an exporter and the source of a log record, with the numbers of `common.proto`."""

from enum import IntEnum
from typing import Self

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
