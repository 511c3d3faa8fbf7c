"""What news and timers are about.

Rule: pure; a topic names an object and says nothing about it.
"""

from typing import NamedTuple

LEASE = "lease"
EXPORTER = "exporter"


class Topic(NamedTuple):
    """What news is about: one lease or one exporter."""

    kind: str
    namespace: str
    name: str


def lease_topic(namespace: str, name: str) -> Topic:
    """Return the topic of one lease."""
    return Topic(LEASE, namespace, name)


def exporter_topic(namespace: str, name: str) -> Topic:
    """Return the topic of one exporter: itself, and the lease that it serves."""
    return Topic(EXPORTER, namespace, name)
