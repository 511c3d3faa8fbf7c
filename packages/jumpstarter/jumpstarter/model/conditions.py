"""Questions about the conditions of a lease or an exporter.

A list may hold several conditions of one type; the first one counts, the others are not looked at.
"""

from collections.abc import Iterable
from typing import Protocol

__all__ = [
    "ConditionFields",
    "condition_true",
    "condition_false",
    "condition_present_and_equal",
    "condition_message",
]


class ConditionFields(Protocol):
    """What is read of a condition; `kubernetes_pb2.Condition` has it."""

    @property
    def type(self) -> str:
        """What the condition is about, for instance `Ready`."""
        ...

    @property
    def status(self) -> str:
        """`True`, `False` or `Unknown`."""
        ...

    @property
    def reason(self) -> str:
        """One word for programs."""
        ...

    @property
    def message(self) -> str:
        """One sentence for people."""
        ...


def condition_true(conditions: Iterable[ConditionFields], condition_type: str) -> bool:
    """Return whether the condition of this type is present and `True`."""
    return condition_present_and_equal(conditions, condition_type, "True")


def condition_false(conditions: Iterable[ConditionFields], condition_type: str) -> bool:
    """Return whether the condition of this type is present and `False`."""
    return condition_present_and_equal(conditions, condition_type, "False")


def condition_present_and_equal(
    conditions: Iterable[ConditionFields],
    condition_type: str,
    status: str,
    reason: str | None = None,
) -> bool:
    """Return whether the condition has this status, and this reason unless that is None."""
    found = _first(conditions, condition_type)
    if found is None or found.status != status:
        return False
    return reason is None or found.reason == reason


def condition_message(
    conditions: Iterable[ConditionFields], condition_type: str, reason: str | None = None
) -> str | None:
    """Return the message of the first condition of this type, and of this reason unless None.

    None means that there is no such condition.
    """
    wanted = (item for item in conditions if reason is None or item.reason == reason)
    found = _first(wanted, condition_type)
    return None if found is None else found.message


def _first(conditions: Iterable[ConditionFields], condition_type: str) -> ConditionFields | None:
    return next((item for item in conditions if item.type == condition_type), None)
