"""Exporters and leases as a controller tells them, checked, with plain names.

Their fields are also the keys of `-o json` and `-o yaml`, which scripts read.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Self, cast

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from jumpstarter_protocol import client_pb2, kubernetes_pb2
from pydantic import BaseModel, ConfigDict, Field

from jumpstarter.model.errors import ControllerAnswerError
from jumpstarter.model.lease_progress import LeaseTimes, Verdict, judge_lease
from jumpstarter.model.status import ExporterStatus

from .tables import (
    Table,
    WithOptions,
    exporter_cells,
    exporter_columns,
    lease_cells,
    lease_columns,
)

NO_SELECTOR = "<none>"
"""How a controller writes a selector that selects everything."""


class Condition(BaseModel):
    """One thing that holds for a lease, or does not."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    lastTransitionTime: datetime | None = None  # noqa: N815 - its name wherever it is written
    """Since when it has this status."""

    @classmethod
    def from_protobuf(cls, data: kubernetes_pb2.Condition) -> Self:
        """Return the condition."""
        since = data.lastTransitionTime
        stamp = Timestamp(seconds=since.seconds, nanos=since.nanos)
        return cls(
            type=data.type,
            status=data.status,
            reason=data.reason,
            message=data.message,
            lastTransitionTime=_time(stamp) if data.HasField("lastTransitionTime") else None,
        )


class LeaseAhead(BaseModel):
    """A lease that another one waits for."""

    name: str
    client: str
    exporter: str | None = None
    until: datetime | None = None


class Waiting(BaseModel):
    """How a lease stands among those that wait."""

    position: int
    reason: str = ""
    message: str = ""
    ahead: list[LeaseAhead] = Field(default_factory=list[LeaseAhead])
    holders: list[LeaseAhead] = Field(default_factory=list[LeaseAhead])


class Lease(BaseModel):
    """A lease of the namespace, whoever holds it."""

    model_config = ConfigDict(ser_json_timedelta="float")

    namespace: str
    name: str
    selector: str
    exporter_name: str | None = None
    tags: dict[str, str] = Field(default_factory=dict[str, str])
    context: dict[str, str] = Field(default_factory=dict[str, str])
    duration: timedelta
    effective_duration: timedelta | None = None
    begin_time: datetime | None = None
    client: str
    exporter: str
    conditions: list[Condition]
    effective_begin_time: datetime | None = None
    effective_end_time: datetime | None = None
    deprecated_labels: dict[str, str] = Field(default_factory=dict[str, str])
    waiting: Waiting | None = None
    end_time: datetime | None = Field(default=None, exclude=True)

    @classmethod
    def from_protobuf(cls, data: client_pb2.Lease) -> Self:
        """Return the lease; raises ControllerAnswerError for a name that is none."""
        namespace, name = parse_name(data.name, "leases")
        return cls(
            namespace=namespace,
            name=name,
            selector=data.selector,
            exporter_name=data.exporter_name if data.HasField("exporter_name") else None,
            tags=dict(data.tags),
            context=dict(data.context),
            duration=_span(data.duration),
            effective_duration=_optional_span(data, "effective_duration"),
            begin_time=_optional_time(data, "begin_time"),
            client=parse_name(data.client, "clients")[1],
            exporter=parse_name(data.exporter, "exporters")[1] if data.exporter else "",
            conditions=[Condition.from_protobuf(item) for item in data.conditions],
            effective_begin_time=_optional_time(data, "effective_begin_time"),
            effective_end_time=_optional_time(data, "effective_end_time"),
            deprecated_labels=dict(data.deprecated_labels),
            waiting=_waiting(data.waiting) if data.HasField("waiting") else None,
            end_time=_optional_time(data, "end_time"),
        )

    @property
    def requirements(self) -> str:
        """The selector as a text that can be parsed."""
        return "" if self.selector == NO_SELECTOR else self.selector

    @property
    def verdict(self) -> Verdict:
        """How far the lease is."""
        return judge_lease(self.conditions, ended=self.effective_end_time is not None)

    @property
    def times(self) -> LeaseTimes:
        """When it begins and ends."""
        return LeaseTimes(
            duration=self.duration,
            begin=self.begin_time,
            end=self.end_time,
            effective_begin=self.effective_begin_time,
            effective_duration=self.effective_duration,
        )

    def get_status(self) -> str:
        """Return one word for how it stands: that of the last condition, unless it has ended."""
        if self.effective_end_time is not None:
            return "Ended"
        if not self.conditions:
            return "Unknown"
        last = self.conditions[-1]
        return "In-Use" if (last.type, last.status) == ("Ready", "True") else last.reason

    @classmethod
    def rich_add_columns(cls, table: Table) -> None:
        """Add the columns of a table of leases."""
        lease_columns(table)

    def rich_add_rows(self, table: Table, now: datetime | None = None) -> None:
        """Add its row; what remains is counted from `now`, by default from this moment."""
        table.add_row(*lease_cells(self, now))

    def rich_add_names(self, names: list[str]) -> None:
        """Add its name."""
        names.append(self.name)


class Exporter(BaseModel):
    """An exporter of the namespace."""

    namespace: str
    name: str
    labels: dict[str, str]
    online: bool = False
    status: ExporterStatus | None = None
    enabled: bool = True
    lease: Lease | None = None
    deprecated_labels: dict[str, str] = Field(default_factory=dict[str, str])

    @classmethod
    def from_protobuf(cls, data: client_pb2.Exporter) -> Self:
        """Return the exporter; raises ControllerAnswerError for a name that is none."""
        namespace, name = parse_name(data.name, "exporters")
        status = ExporterStatus.from_proto(data.status)
        return cls(
            namespace=namespace,
            name=name,
            labels=dict(data.labels),
            online=data.online,  # pyright: ignore[reportDeprecated] - release 0.9.0 shows it
            status=None if status is ExporterStatus.UNSPECIFIED else status,
            enabled=data.enabled if data.HasField("enabled") else True,
            deprecated_labels=dict(data.deprecated_labels),
        )

    @classmethod
    def rich_add_columns(cls, table: Table, options: WithOptions | None = None) -> None:
        """Add the columns of a table of exporters."""
        exporter_columns(table, options or WithOptions())

    def rich_add_rows(self, table: Table, options: WithOptions | None = None) -> None:
        """Add its row."""
        table.add_row(*exporter_cells(self, options or WithOptions()))

    def rich_add_names(self, names: list[str]) -> None:
        """Add its name."""
        names.append(self.name)


def parse_name(path: str, kind: str) -> tuple[str, str]:
    """Return namespace and name of the path `namespaces/<namespace>/<kind>/<name>`.

    Raises ControllerAnswerError, which is a ValueError, for anything else.
    """
    match path.split("/"):
        case ["namespaces", namespace, found, name] if found == kind and namespace and name:
            return namespace, name
        case _:
            message = f"the controller sent {path!r}, which is no name of one of its {kind}"
            raise ControllerAnswerError(message)


def path_of(namespace: str, kind: str, name: str) -> str:
    """Return the path of a name on the wire."""
    return f"namespaces/{namespace}/{kind}/{name}"


def _span(value: Duration) -> timedelta:
    return timedelta(seconds=value.seconds, microseconds=value.nanos // 1000)


def _optional_span(data: client_pb2.Lease, field: str) -> timedelta | None:
    return _span(getattr(data, field)) if data.HasField(cast("Any", field)) else None


def _time(value: Timestamp) -> datetime:
    return value.ToDatetime(tzinfo=UTC)


def _optional_time(data: client_pb2.Lease, field: str) -> datetime | None:
    return _time(getattr(data, field)) if data.HasField(cast("Any", field)) else None


def _waiting(data: client_pb2.Waiting) -> Waiting:
    return Waiting(
        position=data.position,
        reason=data.reason,
        message=data.message,
        ahead=[_ahead(item) for item in data.ahead],
        holders=[_ahead(item) for item in data.holders],
    )


def _ahead(data: client_pb2.LeaseAhead) -> LeaseAhead:
    return LeaseAhead(
        name=parse_name(data.name, "leases")[1],
        client=parse_name(data.client, "clients")[1],
        exporter=parse_name(data.exporter, "exporters")[1] if data.exporter else None,
        until=_time(data.until) if data.HasField("until") else None,
    )
