"""What a lab consists of, as its administrators see it: checked, with plain names.

The fields are also the keys of `-o json` and `-o yaml`, which scripts read.
"""

import base64
from datetime import UTC, datetime, timedelta
from typing import Self

from google.protobuf.timestamp_pb2 import Timestamp
from jumpstarter_protocol import admin_pb2
from pydantic import BaseModel, ConfigDict, Field

from jumpstarter.config.tls import TLSConfigV1Alpha1
from jumpstarter.model.status import ExporterStatus

from .records import parse_name, path_of


class Credential(BaseModel):
    """How somebody proves who it is, and where. It holds a secret, and is not shown."""

    namespace: str
    name: str
    token: str = Field(repr=False)
    expiry: datetime
    endpoint: str
    ca: str
    """What to trust there, PEM; empty when the system's roots do."""

    @classmethod
    def from_protobuf(cls, kind: str, data: admin_pb2.Credential) -> Self:
        """Return the credential of somebody of this `kind`, such as `clients`."""
        namespace, name = parse_name(data.name, kind)
        return cls(
            namespace=namespace,
            name=name,
            token=data.token,
            expiry=_time(data.expiry),
            endpoint=data.endpoint,
            ca=data.ca,
        )

    @property
    def tls(self) -> TLSConfigV1Alpha1:
        """What to trust, as files state it."""
        return TLSConfigV1Alpha1(ca=base64.b64encode(self.ca.encode()).decode())


class ClientRecord(BaseModel):
    """A client of the namespace."""

    namespace: str
    name: str
    uid: str
    labels: dict[str, str]
    username: str | None = None
    created: datetime

    @classmethod
    def from_protobuf(cls, data: admin_pb2.Client) -> Self:
        """Return the client; raises ControllerAnswerError for a name that is none."""
        namespace, name = parse_name(data.name, "clients")
        return cls(
            namespace=namespace,
            name=name,
            uid=data.uid,
            labels=dict(data.labels),
            username=data.username if data.HasField("username") else None,
            created=_time(data.created),
        )


class DeviceRecord(BaseModel):
    """A driver of an exporter."""

    uuid: str
    parent_uuid: str | None = None
    labels: dict[str, str]

    @classmethod
    def from_protobuf(cls, data: admin_pb2.Device) -> Self:
        """Return the driver."""
        parent = data.parent_uuid if data.HasField("parent_uuid") else None
        return cls(uuid=data.uuid, parent_uuid=parent, labels=dict(data.labels))


class ExporterRecord(BaseModel):
    """An exporter of the namespace, hidden labels included."""

    namespace: str
    name: str
    uid: str
    labels: dict[str, str]
    username: str | None = None
    enabled: bool
    created: datetime
    online: bool
    registered: bool
    status: ExporterStatus | None = None
    status_message: str
    last_seen: datetime | None = None
    devices: list[DeviceRecord]

    @classmethod
    def from_protobuf(cls, data: admin_pb2.Exporter) -> Self:
        """Return the exporter; raises ControllerAnswerError for a name that is none."""
        namespace, name = parse_name(data.name, "exporters")
        return cls(
            namespace=namespace,
            name=name,
            uid=data.uid,
            labels=dict(data.labels),
            username=data.username if data.HasField("username") else None,
            enabled=data.enabled,
            created=_time(data.created),
            online=data.online,
            registered=data.registered,
            status=ExporterStatus.from_proto(data.status) if data.HasField("status") else None,
            status_message=data.status_message,
            last_seen=_time(data.last_seen) if data.HasField("last_seen") else None,
            devices=[DeviceRecord.from_protobuf(item) for item in data.devices],
        )


class PolicyRule(BaseModel):
    """Admits some clients."""

    model_config = ConfigDict(extra="forbid", ser_json_timedelta="float")

    description: str = ""
    priority: int = 0
    client_selectors: list[str] = Field(default_factory=lambda: [""])
    """One of them must match a client's labels; an empty text matches all."""
    maximum_duration: timedelta | None = None
    spot: bool = False


class Policy(BaseModel):
    """Who may lease which exporters."""

    model_config = ConfigDict(extra="forbid")

    namespace: str
    name: str
    exporter_selector: str = ""
    rules: list[PolicyRule] = Field(default_factory=list[PolicyRule])

    @classmethod
    def from_protobuf(cls, data: admin_pb2.Policy) -> Self:
        """Return the policy; raises ControllerAnswerError for a name that is none."""
        namespace, name = parse_name(data.name, "policies")
        return cls(
            namespace=namespace,
            name=name,
            exporter_selector=data.exporter_selector,
            rules=[_rule(item) for item in data.rules],
        )

    def to_protobuf(self) -> admin_pb2.Policy:
        """Return the policy as the controller takes it."""
        message = admin_pb2.Policy(
            name=path_of(self.namespace, "policies", self.name),
            exporter_selector=self.exporter_selector,
        )
        for rule in self.rules:
            item = message.rules.add(
                description=rule.description,
                priority=rule.priority,
                client_selectors=rule.client_selectors,
                spot=rule.spot,
            )
            if rule.maximum_duration is not None:
                item.maximum_duration.FromTimedelta(rule.maximum_duration)
        return message


class RouterRecord(BaseModel):
    """A router that was admitted."""

    namespace: str
    name: str
    endpoint: str
    labels: dict[str, str]
    streams: int
    alive: bool

    @classmethod
    def from_protobuf(cls, data: admin_pb2.Router) -> Self:
        """Return the router; raises ControllerAnswerError for a name that is none."""
        namespace, name = parse_name(data.name, "routers")
        return cls(
            namespace=namespace,
            name=name,
            endpoint=data.endpoint,
            labels=dict(data.labels),
            streams=data.streams,
            alive=data.alive,
        )


def _rule(data: admin_pb2.PolicyRule) -> PolicyRule:
    return PolicyRule(
        description=data.description,
        priority=data.priority,
        client_selectors=list(data.client_selectors),
        maximum_duration=data.maximum_duration.ToTimedelta()
        if data.HasField("maximum_duration")
        else None,
        spot=data.spot,
    )


def _time(value: Timestamp) -> datetime:
    return value.ToDatetime(tzinfo=UTC)
