"""Orders of the administrator about clients and exporters: make, change, remove, rotate tokens."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from jumpstarter_controller.book import Key
from jumpstarter_controller.draft import Draft
from jumpstarter_controller.errors import AlreadyExists, NotFound
from jumpstarter_controller.lease_state import released
from jumpstarter_controller.names import check_labels, check_name
from jumpstarter_controller.objects import Client, Exporter, Kind

from .settling import settle

OWN_PREFIX = "jumpstarter.dev/"
"""Labels with this prefix are the exporter's to set; the others are the administrator's."""

T = TypeVar("T")


def create_client(
    draft: Draft, *, key: Key, labels: Mapping[str, str], username: str | None
) -> Client:
    """Add a client."""
    namespace, name = key
    check_name("namespace", namespace)
    check_name("client", name)
    check_labels(labels)
    if key in draft.book.clients:
        raise AlreadyExists(f"client {name} exists already in namespace {namespace}")
    client = Client(
        namespace=namespace,
        name=name,
        uid=draft.new_uid(),
        labels=dict(labels),
        username=username,
        created=draft.now,
    )
    draft.put(client)
    settle(draft)
    return client


def set_client(draft: Draft, *, key: Key, labels: Mapping[str, str]) -> Client:
    """Replace the labels of a client."""
    check_labels(labels)
    client = replace(client_of(draft, key), labels=dict(labels))
    draft.put(client)
    settle(draft)
    return client


def delete_client(draft: Draft, *, key: Key) -> None:
    """Remove a client. What it has leased stays leased; what it waits for is given up."""
    client = client_of(draft, key)
    for lease in [*draft.book.unassigned(client.namespace).values()]:
        if lease.owned_by(client.ref):
            draft.put(released(lease, draft.now, f"released: client {client.name} was deleted"))
    draft.remove(client)
    settle(draft)


def create_exporter(
    draft: Draft, *, key: Key, labels: Mapping[str, str], username: str | None
) -> Exporter:
    """Add an exporter."""
    namespace, name = key
    check_name("namespace", namespace)
    check_name("exporter", name)
    check_labels(labels)
    if key in draft.book.exporters:
        raise AlreadyExists(f"exporter {name} exists already in namespace {namespace}")
    exporter = Exporter(
        namespace=namespace,
        name=name,
        uid=draft.new_uid(),
        labels=dict(labels),
        username=username,
        enabled=True,
        created=draft.now,
    )
    draft.put(exporter)
    settle(draft)
    return exporter


def set_exporter(
    draft: Draft, *, key: Key, labels: Mapping[str, str] | None, enabled: bool | None
) -> Exporter:
    """Replace the labels of an exporter but for its own, or say whether it takes new leases."""
    exporter = exporter_of(draft, key)
    if labels is not None:
        check_labels(labels)
        own = {k: value for k, value in exporter.labels.items() if k.startswith(OWN_PREFIX)}
        exporter = replace(exporter, labels=dict(labels) | own)
    if enabled is not None:
        exporter = replace(exporter, enabled=enabled)
    draft.put(exporter)
    settle(draft)
    return exporter


def delete_exporter(draft: Draft, *, key: Key) -> None:
    """Remove an exporter, and with it every lease that has or had it."""
    exporter = exporter_of(draft, key)
    lease = draft.book.holder(exporter)
    if lease is not None:
        draft.remove(lease)
    draft.remove(exporter)
    settle(draft)


def rotate(draft: Draft, *, kind: Kind, key: Key) -> int:
    """Void all tokens so far; return the generation of the next."""
    found = find(draft, kind, key)
    found = replace(found, token_generation=found.token_generation + 1)
    draft.put(found)
    return found.token_generation


def find(draft: Draft, kind: Kind, key: Key) -> Client | Exporter:
    """Return the client or exporter of this name."""
    return client_of(draft, key) if kind == "Client" else exporter_of(draft, key)


def client_of(draft: Draft, key: Key) -> Client:
    """Return the client of this name."""
    return known("client", key, draft.book.clients.get(key))


def exporter_of(draft: Draft, key: Key) -> Exporter:
    """Return the exporter of this name."""
    return known("exporter", key, draft.book.exporters.get(key))


def known(kind: str, key: Key, found: T | None) -> T:
    """Return what was found, or say that there is no such thing."""
    if found is None:
        raise NotFound(f"{kind} {key[1]} not found in namespace {key[0]}")
    return found
