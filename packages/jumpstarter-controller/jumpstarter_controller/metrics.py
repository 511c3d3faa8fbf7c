"""What the controller tells of itself in numbers, in the text format of Prometheus.

Rule: pure. The counter of acquisitions has the name that operators know; the others are gauges.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from .lease_state import UNSATISFIABLE, condition_of
from .objects import Lease
from .store.protocol import Change


@dataclass(slots=True)
class Acquisitions:
    """How many leases got their exporter, or were told that they never will, since the start."""

    success: int = 0
    failure: int = 0

    def count(self, changes: Iterable[Change]) -> None:
        """Take in what was stored."""
        for change in changes:
            if not isinstance(change.new, Lease):
                continue
            old = change.old if isinstance(change.old, Lease) else None
            if change.new.exporter is not None and (old is None or old.exporter is None):
                self.success += 1
            elif change.new.ended and not (old is not None and old.ended):
                self.failure += condition_of(change.new, UNSATISFIABLE) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """The state of a lab in numbers."""

    clients: int
    exporters: int
    exporters_online: int
    leases_live: int
    leases_waiting: int
    routers: int
    acquired: int
    refused: int


HELP = {
    "jumpstarter_clients": "Clients that there are.",
    "jumpstarter_exporters": "Exporters that there are.",
    "jumpstarter_exporters_online": "Exporters that are online.",
    "jumpstarter_leases_live": "Leases that have an exporter.",
    "jumpstarter_leases_waiting": "Leases that wait for an exporter.",
    "jumpstarter_routers": "Routers that were heard of lately.",
}
ACQUISITIONS = "jumpstarter_lease_acquisitions_total"


def metrics_text(numbers: Numbers) -> str:
    """Return the numbers as they are scraped."""
    lines = [
        f"# HELP {ACQUISITIONS} Leases that got their exporter, or never will, since the start.",
        f"# TYPE {ACQUISITIONS} counter",
        f'{ACQUISITIONS}{{result="success"}} {numbers.acquired}',
        f'{ACQUISITIONS}{{result="failure"}} {numbers.refused}',
    ]
    for name, text in HELP.items():
        value: int = getattr(numbers, name.removeprefix("jumpstarter_"))
        lines += (f"# HELP {name} {text}", f"# TYPE {name} gauge", f"{name} {value}")
    return "\n".join(lines) + "\n"
