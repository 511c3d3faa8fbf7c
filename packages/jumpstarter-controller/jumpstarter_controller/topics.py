"""What news and timers are about.

Rule: pure; a topic names an object and says nothing about it.
"""

from typing import NamedTuple

LEASE = "lease"
EXPORTER = "exporter"
QUEUE = "queue"
PARTS = 8
"""In how many parts those are who wait in a namespace."""


class Topic(NamedTuple):
    """What news is about: one lease, one exporter, or who waits in a namespace."""

    kind: str
    namespace: str
    name: str


def lease_topic(namespace: str, name: str) -> Topic:
    """Return the topic of one lease."""
    return Topic(LEASE, namespace, name)


def exporter_topic(namespace: str, name: str) -> Topic:
    """Return the topic of one exporter: itself, and the lease that it serves."""
    return Topic(EXPORTER, namespace, name)


def queue_topic(namespace: str, part: int) -> Topic:
    """Return the topic of all that may change where somebody stands, for a part of those who wait.

    Those of different parts are told at different times, so that not all work comes at once.
    """
    return Topic(QUEUE, namespace, str(part % PARTS))
