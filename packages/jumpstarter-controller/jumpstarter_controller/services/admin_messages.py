"""From what the lab consists of to what administrators are told of it, and back. Pure."""

from typing import Final

from jumpstarter_protocol import admin_pb2

from jumpstarter_controller.names import check_name
from jumpstarter_controller.objects import Client, Exporter, Policy, PolicyRule, Router
from jumpstarter_controller.tokens import Kind

from .messages import status_number
from .resource_names import (
    ADMINS,
    CLIENTS,
    EXPORTERS,
    POLICIES,
    ROUTERS,
    parse_path,
    path_of,
)
from .statuses import BadForm
from .times import duration, parse_duration, timestamp

MAX_PRIORITY: Final = 1_000_000

COLLECTIONS: Final = {
    Kind.CLIENT: CLIENTS,
    Kind.EXPORTER: EXPORTERS,
    Kind.ADMIN: ADMINS,
    Kind.ROUTER: ROUTERS,
}
KINDS: Final = {collection: kind for kind, collection in COLLECTIONS.items()}


def client_message(client: Client) -> admin_pb2.Client:
    """Return what administrators are told of a client."""
    return admin_pb2.Client(
        name=path_of(client.namespace, CLIENTS, client.name),
        uid=client.uid,
        labels=dict(client.labels),
        username=client.username,
        created=timestamp(client.created),
    )


def exporter_message(exporter: Exporter) -> admin_pb2.Exporter:
    """Return what administrators are told of an exporter."""
    message = admin_pb2.Exporter(
        name=path_of(exporter.namespace, EXPORTERS, exporter.name),
        uid=exporter.uid,
        labels=dict(exporter.labels),
        username=exporter.username,
        enabled=exporter.enabled,
        created=timestamp(exporter.created),
        online=exporter.online,
        registered=exporter.registered,
        status_message=exporter.status_message,
        devices=[
            admin_pb2.Device(
                uuid=device.uuid, parent_uuid=device.parent_uuid, labels=dict(device.labels)
            )
            for device in exporter.devices
        ],
    )
    if exporter.status is not None:
        message.status = status_number(exporter.status)
    if exporter.last_seen is not None:
        message.last_seen.CopyFrom(timestamp(exporter.last_seen))
    return message


def policy_message(policy: Policy) -> admin_pb2.Policy:
    """Return what administrators are told of a policy."""
    return admin_pb2.Policy(
        name=path_of(policy.namespace, POLICIES, policy.name),
        exporter_selector=policy.exporter_selector,
        rules=[
            admin_pb2.PolicyRule(
                description=rule.description,
                priority=rule.priority,
                client_selectors=rule.client_selectors,
                maximum_duration=None
                if rule.maximum_duration is None
                else duration(rule.maximum_duration),
                spot=rule.spot,
            )
            for rule in policy.rules
        ],
    )


def parse_policy(message: admin_pb2.Policy) -> Policy:
    """Return the policy that `message` says. Raises BadForm or InvalidRequest."""
    namespace, _, name = parse_path(message.name, POLICIES)
    check_name("policy", name)
    return Policy(
        namespace=namespace,
        name=name,
        exporter_selector=message.exporter_selector,
        rules=tuple(_parsed_rule(rule) for rule in message.rules),
    )


def _parsed_rule(rule: admin_pb2.PolicyRule) -> PolicyRule:
    if abs(rule.priority) > MAX_PRIORITY:
        raise BadForm(f"priority {rule.priority}: use at most {MAX_PRIORITY}")
    return PolicyRule(
        description=rule.description,
        priority=rule.priority,
        client_selectors=tuple(rule.client_selectors),
        maximum_duration=parse_duration("maximum_duration", rule.maximum_duration)
        if rule.HasField("maximum_duration")
        else None,
        spot=rule.spot,
    )


def router_message(namespace: str, name: str, router: Router | None) -> admin_pb2.Router:
    """Return what administrators are told of a router; None is one that is not there."""
    path = path_of(namespace, ROUTERS, name)
    if router is None:
        return admin_pb2.Router(name=path)
    return admin_pb2.Router(
        name=path,
        endpoint=router.endpoint,
        labels=dict(router.labels),
        streams=int(router.load),
        alive=True,
    )
