"""From what the lab consists of to what clients and exporters are told of it. Pure.

What shipped programs read into the order of conditions, and into what is set or not, is kept here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, cast

from jumpstarter.model.selectors import parse_selector
from jumpstarter.model.status import ExporterStatus
from jumpstarter_protocol import client_pb2, jumpstarter_pb2, kubernetes_pb2
from jumpstarter_protocol.jumpstarter.v1 import common_pb2

from jumpstarter_controller.errors import InvalidRequest
from jumpstarter_controller.lease_state import READY
from jumpstarter_controller.names import is_label_key, is_label_value
from jumpstarter_controller.objects import Ahead, Condition, Exporter, ExporterLease, Lease, Place

from .listen import Invitation
from .resource_names import CLIENTS, EXPORTERS, LEASES, path_of
from .times import duration, timestamp, whole_seconds

NO_SELECTOR: Final = "<none>"

_OPERATORS: Final = {"In": "in", "NotIn": "notin"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRules:
    """Labels that clients see only when they ask, and labels that are going away, with advice."""

    hidden: frozenset[str] = frozenset()
    deprecated: Mapping[str, str] = field(default_factory=dict[str, str])

    def shown(self, labels: Mapping[str, str]) -> dict[str, str]:
        """Return the labels that everybody sees."""
        unseen = self.hidden | self.deprecated.keys()
        return {key: value for key, value in labels.items() if key not in unseen}

    def advice(self, keys: Iterable[str]) -> dict[str, str]:
        """Return what to use instead of those of `keys` that are going away."""
        return {key: self.deprecated[key] for key in keys if key in self.deprecated}


NO_RULES: Final = LabelRules()


def exporter_message(
    exporter: Exporter, rules: LabelRules = NO_RULES, *, show_hidden: bool = False
) -> client_pb2.Exporter:
    """Return what clients are told of an exporter."""
    return client_pb2.Exporter(
        name=path_of(exporter.namespace, EXPORTERS, exporter.name),
        labels=dict(exporter.labels) if show_hidden else rules.shown(exporter.labels),
        online=exporter.online,
        status=status_number(exporter.status),
        status_message=exporter.status_message,
        enabled=exporter.enabled,
        deprecated_labels=rules.advice(exporter.labels),
    )


def status_number(status: ExporterStatus | None) -> common_pb2.ExporterStatus.ValueType:
    """Return the wire's number of a status; one that was never reported is UNSPECIFIED."""
    return cast("Any", int(status or ExporterStatus.UNSPECIFIED))


def lease_message(
    lease: Lease, now: datetime, rules: LabelRules = NO_RULES, place: Place | None = None
) -> client_pb2.Lease:
    """Return what is told of a lease; `place` is where it waits, if it does."""
    message = client_pb2.Lease(
        name=path_of(lease.namespace, LEASES, lease.name),
        selector=lease.selector or NO_SELECTOR,
        client=path_of(lease.namespace, CLIENTS, lease.client),
        conditions=condition_messages(lease.conditions),
        tags=dict(lease.tags),
        context=dict(lease.context),
        allow_disabled=lease.allow_disabled,
        deprecated_labels=rules.advice(item.key for item in parse_selector(lease.selector)),
    )
    if lease.exporter is not None:
        message.exporter = path_of(lease.namespace, EXPORTERS, lease.exporter)
    if lease.exporter_name is not None:
        message.exporter_name = lease.exporter_name
    _set_times(message, lease, now)
    if place is not None and place.position:
        message.waiting.CopyFrom(_waiting(lease.namespace, place))
    return message


def _set_times(message: client_pb2.Lease, lease: Lease, now: datetime) -> None:
    if lease.duration is not None:
        message.duration.CopyFrom(duration(lease.duration))
    if lease.begin_time is not None:
        message.begin_time.CopyFrom(timestamp(lease.begin_time))
    if lease.end_time is not None:
        message.end_time.CopyFrom(timestamp(lease.end_time))
    # Set means over, to a client; so it is not set before.
    if lease.effective_end is not None:
        message.effective_end_time.CopyFrom(whole_seconds(lease.effective_end))
    lasted = lease.effective_duration(now)
    if lease.effective_begin is not None and lasted is not None:
        message.effective_begin_time.CopyFrom(whole_seconds(lease.effective_begin))
        message.effective_duration.CopyFrom(duration(lasted))


def _waiting(namespace: str, place: Place) -> client_pb2.Waiting:
    return client_pb2.Waiting(
        position=place.position,
        reason=place.reason,
        message=place.message,
        ahead=[_ahead(namespace, item) for item in place.ahead],
        holders=[_ahead(namespace, item) for item in place.holders],
    )


def _ahead(namespace: str, item: Ahead) -> client_pb2.LeaseAhead:
    message = client_pb2.LeaseAhead(
        name=path_of(namespace, LEASES, item.lease),
        client=path_of(namespace, CLIENTS, item.client),
    )
    if item.exporter is not None:
        message.exporter = path_of(namespace, EXPORTERS, item.exporter)
    if item.until is not None:
        message.until.CopyFrom(timestamp(item.until))
    return message


def condition_messages(conditions: Iterable[Condition]) -> list[kubernetes_pb2.Condition]:
    """Return the conditions for the wire, Ready last: shipped clients look at the last one only."""
    ordered = sorted(conditions, key=lambda condition: condition.type == READY)
    return [
        kubernetes_pb2.Condition(
            type=condition.type,
            status="True" if condition.status else "False",
            reason=condition.reason,
            message=condition.message,
            lastTransitionTime=_kubernetes_time(condition.last_transition),
        )
        for condition in ordered
    ]


def _kubernetes_time(time: datetime) -> kubernetes_pb2.Time:
    stamp = timestamp(time)
    return kubernetes_pb2.Time(seconds=stamp.seconds, nanos=stamp.nanos)


def status_message(told: ExporterLease | None) -> jumpstarter_pb2.StatusResponse:
    """Return what an exporter is told of its lease, if it has one."""
    if told is None:
        return jumpstarter_pb2.StatusResponse(leased=False)
    return jumpstarter_pb2.StatusResponse(
        leased=True,
        lease_name=told.lease_name,
        client_name=told.client_name,
        context=dict(told.context),
    )


def listen_message(invitation: Invitation) -> jumpstarter_pb2.ListenResponse:
    """Return what an exporter is told of a client that dials it."""
    return jumpstarter_pb2.ListenResponse(
        router_endpoint=invitation.router_endpoint, router_token=invitation.router_token
    )


def legacy_lease_message(
    lease: Lease, exporter_uid: str | None
) -> jumpstarter_pb2.GetLeaseResponse:
    """Return what the old call GetLease tells of a lease."""
    message = jumpstarter_pb2.GetLeaseResponse(
        selector=legacy_selector(lease.selector),
        conditions=condition_messages(lease.conditions),
    )
    if lease.duration is not None:
        message.duration.CopyFrom(duration(lease.duration))
    if lease.effective_begin is not None:
        message.begin_time.CopyFrom(whole_seconds(lease.effective_begin))
    if lease.effective_end is not None:
        message.end_time.CopyFrom(whole_seconds(lease.effective_end))
    if exporter_uid is not None:
        message.exporter_uuid = exporter_uid
    return message


def legacy_selector(selector: str) -> kubernetes_pb2.LabelSelector:
    """Return a selector's text as the message that old calls use."""
    message = kubernetes_pb2.LabelSelector()
    words = {"in": "In", "notin": "NotIn", "!=": "NotIn", "exists": "Exists"}
    for item in parse_selector(selector):
        if str(item.operator) == "=":
            message.match_labels[item.key] = item.values[0]
        else:
            message.match_expressions.add(
                key=item.key,
                operator=words.get(str(item.operator), "DoesNotExist"),
                values=item.values,
            )
    return message


def parse_legacy_selector(message: kubernetes_pb2.LabelSelector) -> str:
    """Return the text of a selector of the old calls. Raises InvalidRequest."""
    parts = [f"{_key(key)}={_value(value)}" for key, value in sorted(message.match_labels.items())]
    parts.extend(_expression(item) for item in message.match_expressions)
    return ",".join(parts)


def _expression(item: kubernetes_pb2.LabelSelectorRequirement) -> str:
    key = _key(item.key)
    match item.operator, bool(item.values):
        case "Exists", False:
            return key
        case "DoesNotExist", False:
            return f"!{key}"
        case ("In" | "NotIn") as operator, True:
            values = ",".join(map(_value, item.values))
            return f"{key} {_OPERATORS[operator]} ({values})"
        case _:
            raise InvalidRequest(
                f"selector: {key} has an operator, or values, that do not go together"
            )


# Both are put into a text that is parsed again, so they must not bring signs of their own.
def _key(text: str) -> str:
    if not is_label_key(text):
        raise InvalidRequest("selector: a key is not a label name")
    return text


def _value(text: str) -> str:
    if not is_label_value(text):
        raise InvalidRequest("selector: a value is not a label value")
    return text


def parse_status(number: int) -> ExporterStatus:
    """Return the status of the wire's number; one of a newer exporter is UNSPECIFIED."""
    return ExporterStatus.from_proto(number)


def texts(labels: Mapping[str, str]) -> dict[str, str]:
    """Return a map of the wire as a plain one."""
    return dict(labels)
