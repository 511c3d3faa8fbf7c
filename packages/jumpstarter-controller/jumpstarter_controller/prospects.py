"""What a lease could have: the exporters that it may be given, or why there can be none.

Rule: pure. Leases that ask for the same have the same prospects, which are worked out once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

from .fleet import Fleet, admits
from .lease_state import INVALID, UNSATISFIABLE
from .objects import NO_LABELS, Exporter, Lease, Policy
from .policies import Admission, Admissions, descriptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What there is in a namespace: exporters, who holds them, policies, and clients' labels."""

    fleet: Fleet
    held: Mapping[str, Lease]
    policies: Sequence[Policy] = ()
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])
    spot: bool = True


class Option(NamedTuple):
    """An exporter that a lease may have, and on which terms."""

    exporter: Exporter
    admission: Admission


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a lease can never be granted as things are; `kind` is the type of its condition."""

    kind: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Demand:
    """All of a lease that decides what it could have."""

    client: str
    selector: str
    exporter_name: str | None
    allow_disabled: bool
    duration: timedelta | None

    @classmethod
    def of(cls, lease: Lease) -> "Demand":
        """Return what a lease asks for."""
        return cls(
            lease.client,
            lease.selector,
            lease.exporter_name,
            lease.allow_disabled,
            lease.duration,
        )


def options(demand: Demand, situation: Situation) -> list[Option] | Refusal:
    """Return the exporters that may be given, present or not; or why there are none."""
    candidates = _candidates(demand, situation.fleet)
    if isinstance(candidates, Refusal):
        return candidates
    labels = situation.labels.get(demand.client, NO_LABELS)
    admissions = Admissions.of(situation.policies, labels, demand.duration)
    found = [
        Option(exporter, admission)
        for exporter in candidates
        if (admission := admissions.to(exporter)) is not None
    ]
    if not found:
        return _no_access(candidates, situation.policies)
    if not situation.spot:
        return _without_spot(found)
    return found


def _candidates(demand: Demand, fleet: Fleet) -> list[Exporter] | Refusal:
    if demand.exporter_name is not None:
        return _named(demand, demand.exporter_name, fleet)
    if not demand.selector:
        return Refusal(INVALID, "InvalidSelector", "neither a selector nor an exporter is named")
    matching = fleet.matching(demand.selector)
    if not matching:
        message = f"no exporter matches the selector {demand.selector}"
        return Refusal(UNSATISFIABLE, "NoAccess", message)
    enabled = [exporter for exporter in matching if exporter.enabled]
    if not enabled:
        message = f"all exporters that match the selector {demand.selector} are disabled"
        return Refusal(UNSATISFIABLE, "AllDisabled", message)
    return enabled


def _named(demand: Demand, name: str, fleet: Fleet) -> list[Exporter] | Refusal:
    exporter = fleet.get(name)
    if exporter is None:
        return Refusal(UNSATISFIABLE, "ExporterNotFound", f"there is no exporter {name}")
    if not admits(demand.selector, exporter.labels):
        message = f"exporter {name} does not match the selector {demand.selector}"
        return Refusal(UNSATISFIABLE, "SelectorMismatch", message)
    if not exporter.enabled and not demand.allow_disabled:
        message = f"exporter {name} is disabled; a lease with allow_disabled can have it"
        return Refusal(UNSATISFIABLE, "ExporterDisabled", message)
    return [exporter]


def _no_access(candidates: Sequence[Exporter], policies: Sequence[Policy]) -> Refusal:
    concerned = [
        policy
        for policy in policies
        if any(admits(policy.exporter_selector, one.labels) for one in candidates)
    ]
    texts = descriptions(concerned)
    message = "no access policy admits this client to a matching exporter for so long"
    if texts:
        message += "; the policies are: " + ", ".join(texts)
    return Refusal(UNSATISFIABLE, "NoAccess", message)


def _without_spot(found: list[Option]) -> list[Option] | Refusal:
    normal = [option for option in found if not option.admission.spot]
    if normal:
        return normal
    names = ", ".join(sorted(option.exporter.name for option in found))
    message = f"only spot access is possible ({names}), which this lab does not grant"
    return Refusal(UNSATISFIABLE, "SpotAccess", message)
