"""What a lab consists of: clients, exporters, leases, policies and routers, as values.

Rule: values are never changed, only replaced. Times are aware and in UTC; names are bare, and the
namespace stands beside them. A `uid` is random and belongs to one life of an object: one that was
deleted and made again has another.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Generic, Literal, TypeVar

from jumpstarter.model.status import ExporterStatus

T = TypeVar("T")

Kind = Literal["Client", "Exporter"]
"""What has credentials of its own."""

NO_LABELS: Mapping[str, str] = {}

FRESH_STATUSES = (None, ExporterStatus.AVAILABLE, ExporterStatus.UNSPECIFIED)
"""Statuses in which an exporter takes a lease; None is one that never reported any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ref:
    """Who calls: a client or an exporter whose token was accepted, or an administrator."""

    kind: Literal["Client", "Exporter", "Admin"]
    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Someone who may ask for leases. A token of a generation before `token_generation` is void."""

    namespace: str
    name: str
    uid: str
    labels: Mapping[str, str]
    username: str | None
    created: datetime
    token_generation: int = 1

    @property
    def ref(self) -> Ref:
        """This client as the caller of an operation."""
        return Ref(kind="Client", namespace=self.namespace, name=self.name, uid=self.uid)


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One driver instance in the report of an exporter."""

    uuid: str
    parent_uuid: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Exporter:
    """A host with a device. `status` None means that it never reported any.

    `online` is what the controller makes of what it hears; `lost` says that it is offline only
    because nothing was heard for too long. `fence` grows with every grant.
    """

    namespace: str
    name: str
    uid: str
    labels: Mapping[str, str]
    username: str | None
    enabled: bool
    created: datetime
    token_generation: int = 1
    devices: tuple[Device, ...] = ()
    status: ExporterStatus | None = None
    status_message: str = ""
    last_seen: datetime | None = None
    online: bool = False
    lost: bool = False
    fence: int = 0

    @property
    def registered(self) -> bool:
        """Whether it has told which devices it has."""
        return bool(self.devices)

    @property
    def present(self) -> bool:
        """Whether it is there to be leased, now or when it is free."""
        return self.online and self.registered

    @property
    def fresh(self) -> bool:
        """Whether its status lets a new lease begin."""
        return self.status in FRESH_STATUSES

    @property
    def ref(self) -> Ref:
        """This exporter as the caller of an operation."""
        return Ref(kind="Exporter", namespace=self.namespace, name=self.name, uid=self.uid)


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One thing that is so, or is no longer so, with a word for programs and text for people."""

    type: str
    status: bool
    reason: str
    message: str
    last_transition: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The exclusive use of one exporter by one client, for a time.

    `begin_time`, `duration` and `end_time` are what was asked for, completed so far as they follow
    from each other; the effective ones are what came of it. `sequence` is the order of creation.
    """

    namespace: str
    name: str
    uid: str
    sequence: int
    created: datetime
    client: str
    client_uid: str
    selector: str
    exporter_name: str | None
    duration: timedelta | None
    begin_time: datetime | None
    end_time: datetime | None
    tags: Mapping[str, str]
    context: Mapping[str, str]
    allow_disabled: bool
    exporter: str | None = None
    exporter_uid: str | None = None
    effective_begin: datetime | None = None
    effective_end: datetime | None = None
    priority: int = 0
    spot: bool = False
    released: bool = False
    conditions: tuple[Condition, ...] = ()
    fence: int = 0

    @property
    def ended(self) -> bool:
        """Whether it is over, for whatever reason."""
        return self.effective_end is not None

    @property
    def live(self) -> bool:
        """Whether it holds an exporter."""
        return self.exporter is not None and not self.ended

    @property
    def expires_at(self) -> datetime | None:
        """When it runs out; None for one that has no exporter and no times of its own yet."""
        if self.end_time is not None:
            return self.end_time
        begin = self.begin_time or self.effective_begin
        return None if begin is None or self.duration is None else begin + self.duration

    def waiting(self, now: datetime) -> bool:
        """Return whether it wants an exporter now and has none."""
        begun = self.begin_time is None or self.begin_time <= now
        return self.exporter is None and not self.ended and begun

    def owned_by(self, caller: Ref) -> bool:
        """Return whether `caller` is the client that holds it."""
        return caller.kind == "Client" and (caller.namespace, caller.name, caller.uid) == (
            self.namespace,
            self.client,
            self.client_uid,
        )

    def effective_duration(self, now: datetime) -> timedelta | None:
        """Return how long it has lasted, or lasted in all; None before it began."""
        if self.effective_begin is None:
            return None
        return max((self.effective_end or now) - self.effective_begin, timedelta())


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRule:
    """Who is admitted by a policy: clients that any of `client_selectors` matches, so long."""

    description: str = ""
    priority: int = 0
    client_selectors: tuple[str, ...] = ()
    maximum_duration: timedelta | None = None
    spot: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Rules for the exporters that `exporter_selector` matches; an empty one matches all."""

    namespace: str
    name: str
    exporter_selector: str = ""
    rules: tuple[PolicyRule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Router:
    """A relay that both sides of a tunnel can reach, as it reported itself last."""

    name: str
    endpoint: str
    labels: Mapping[str, str]
    last_seen: datetime
    load: float = 0.0


class Unchanged(Enum):
    """The value of what a change leaves alone."""

    UNCHANGED = "unchanged"


UNCHANGED = Unchanged.UNCHANGED


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRequest:
    """What a client asks for. `selector`, `exporter_name` or both must be there."""

    selector: str = ""
    exporter_name: str | None = None
    duration: timedelta | None = None
    begin_time: datetime | None = None
    end_time: datetime | None = None
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    context: Mapping[str, str] = field(default_factory=dict[str, str])
    allow_disabled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseChange:
    """What is to change in a lease, and nothing else; None takes a time away.

    `client` is the bare name of the one who is to hold it.
    """

    duration: timedelta | Unchanged | None = UNCHANGED
    begin_time: datetime | Unchanged | None = UNCHANGED
    end_time: datetime | Unchanged | None = UNCHANGED
    client: str | Unchanged = UNCHANGED


@dataclass(frozen=True, slots=True, kw_only=True)
class ExporterLease:
    """What an exporter is told of the lease that it serves."""

    lease_name: str
    client_name: str
    context: Mapping[str, str]
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """A lease that is before another one: it waits in front, or `holds` an exporter."""

    lease: str
    client: str
    exporter: str | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a waiting lease stands: 1 is next. 0 is a lease that does not wait.

    `ahead` are those who wait in front of it, `holders` those who have what it could have.
    """

    position: int
    reason: str
    message: str
    ahead: tuple[Ahead, ...] = ()
    holders: tuple[Ahead, ...] = ()


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some of a list, in order of name; an empty `next_token` means that nothing follows."""

    items: tuple[T, ...]
    next_token: str = ""
