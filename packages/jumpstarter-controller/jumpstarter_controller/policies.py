"""Who may lease what, and with which priority.

Rule: pure. Without any policy everybody may lease everything. With policies, a client is admitted
to an exporter only by a rule; several rules may admit, and the best of them counts: one that is not
spot access before one that is, then the highest priority.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from .fleet import admits
from .objects import Exporter, Policy, PolicyRule


@dataclass(frozen=True, slots=True, order=True)
class Admission:
    """How a client may lease an exporter; the smallest is the best."""

    spot: bool
    rank: int

    @property
    def priority(self) -> int:
        """The priority of the rule: higher is better."""
        return -self.rank


OPEN = Admission(spot=False, rank=0)
"""What everybody has where there is no policy."""


@dataclass(frozen=True, slots=True)
class Admissions:
    """What the policies let one client have, for one duration."""

    unrestricted: bool
    granted: tuple[tuple[str, Admission], ...]

    @classmethod
    def of(
        cls,
        policies: Sequence[Policy],
        labels: Mapping[str, str],
        duration: timedelta | None,
    ) -> "Admissions":
        """Return what a client with `labels` may have for `duration`."""
        granted = [
            (policy.exporter_selector, Admission(rule.spot, -rule.priority))
            for policy in policies
            for rule in policy.rules
            if _concerns(rule, labels) and not _too_long(rule, duration)
        ]
        granted.sort(key=lambda pair: pair[1])
        return cls(unrestricted=not policies, granted=tuple(granted))

    def to(self, exporter: Exporter) -> Admission | None:
        """Return the best way to have `exporter`, if there is any."""
        if self.unrestricted:
            return OPEN
        found = (one for selector, one in self.granted if admits(selector, exporter.labels))
        return next(found, None)


def descriptions(policies: Iterable[Policy]) -> list[str]:
    """Return what the rules say about themselves, each once."""
    found = (rule.description for policy in policies for rule in policy.rules)
    return list(dict.fromkeys(text for text in found if text))


def _concerns(rule: PolicyRule, labels: Mapping[str, str]) -> bool:
    return any(admits(selector, labels) for selector in rule.client_selectors)


def _too_long(rule: PolicyRule, duration: timedelta | None) -> bool:
    longest = rule.maximum_duration
    return longest is not None and (duration is None or longest < duration)
