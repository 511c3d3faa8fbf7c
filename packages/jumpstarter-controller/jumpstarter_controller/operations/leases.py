"""What clients order: to have a lease, to change it, to hand it on, to give it back."""

import uuid
from dataclasses import replace
from datetime import timedelta

from jumpstarter_controller.changing import changes_times, with_times
from jumpstarter_controller.draft import Draft
from jumpstarter_controller.errors import AlreadyExists, Forbidden, WrongState
from jumpstarter_controller.lease_state import released
from jumpstarter_controller.names import check_name, ordered_uuid
from jumpstarter_controller.objects import (
    NO_LABELS,
    UNCHANGED,
    Client,
    Lease,
    LeaseChange,
    LeaseRequest,
    Ref,
)
from jumpstarter_controller.policies import Admission, Admissions
from jumpstarter_controller.prospects import Demand, Refusal, options
from jumpstarter_controller.validation import check_request

from .people import client_of, known
from .settling import end_if_over, settle, situation


def create(
    draft: Draft, *, caller: Ref, namespace: str, request: LeaseRequest, lease_id: str | None
) -> Lease:
    """Make a lease, and grant it if an exporter is free."""
    request = check_request(request, draft.settings.max_tags)
    owner = _owner(draft, caller, namespace)
    name = lease_id or ordered_uuid(draft.now, uuid.uuid4())
    check_name("lease", name)
    if draft.lease(namespace, name) is not None:
        raise AlreadyExists(f"lease {name} exists already in namespace {namespace}")
    draft.put(
        Lease(
            namespace=namespace,
            name=name,
            uid=draft.new_uid(),
            sequence=draft.next_sequence(),
            created=draft.now,
            client=owner.name,
            client_uid=owner.uid,
            selector=request.selector,
            exporter_name=request.exporter_name,
            duration=request.duration,
            begin_time=request.begin_time,
            end_time=request.end_time,
            tags=dict(request.tags),
            context=dict(request.context),
            allow_disabled=request.allow_disabled,
        )
    )
    settle(draft)
    return _lease(draft, namespace, name)


def update(draft: Draft, *, caller: Ref, namespace: str, name: str, change: LeaseChange) -> Lease:
    """Change the times of a lease, or who holds it."""
    lease = _owned(draft, caller, namespace, name)
    if lease.ended:
        raise WrongState(f"lease {name} has ended: it cannot be changed any more")
    changed = lease
    if changes_times(change):
        changed = with_times(changed, change)
    if change.client is not UNCHANGED:
        changed = _hand_on(draft, changed, change.client)
    draft.put(_admitted(draft, lease, changed))
    end_if_over(draft, changed)
    settle(draft)
    return _lease(draft, namespace, name)


def release(draft: Draft, *, caller: Ref, namespace: str, name: str, again: bool) -> Lease:
    """End a lease. One that was released before is refused, unless `again` allows it."""
    lease = _owned(draft, caller, namespace, name)
    if lease.released:
        if again:
            return lease
        raise WrongState(f"lease {name} was released already")
    lease = replace(lease, released=True) if lease.ended else released(lease, draft.now)
    draft.put(lease)
    settle(draft)
    return lease


def _owner(draft: Draft, caller: Ref, namespace: str) -> Client:
    if caller.kind != "Client" or caller.namespace != namespace:
        raise Forbidden(f"permission denied: leases of namespace {namespace} are its clients'")
    return client_of(draft, (caller.namespace, caller.name))


def _lease(draft: Draft, namespace: str, name: str) -> Lease:
    return known("lease", (namespace, name), draft.lease(namespace, name))


def _owned(draft: Draft, caller: Ref, namespace: str, name: str) -> Lease:
    lease = _lease(draft, namespace, name)
    if caller.kind != "Admin" and not lease.owned_by(caller):
        raise Forbidden(f"permission denied: lease {name} belongs to client {lease.client}")
    return lease


def _hand_on(draft: Draft, lease: Lease, client: str) -> Lease:
    """Return the lease in the hands of `client`, with a fence that shuts out who had it before."""
    if lease.exporter is None:
        raise WrongState(f"lease {lease.name} has no exporter yet: it cannot be handed on")
    taker = client_of(draft, (lease.namespace, client))
    if lease.owned_by(taker.ref):
        return lease
    exporter = draft.book.exporters[lease.namespace, lease.exporter]
    exporter = replace(exporter, fence=exporter.fence + 1)
    draft.put(exporter)
    return replace(lease, client=taker.name, client_uid=taker.uid, fence=exporter.fence)


def _admitted(draft: Draft, before: Lease, after: Lease) -> Lease:
    """Return the changed lease on the terms of its holder.

    More time than a policy allows is refused, and so is a holder that none admits; less time is
    always fine.
    """
    moved = before.client_uid != after.client_uid
    if not moved and (after.duration or timedelta()) <= (before.duration or timedelta()):
        return after
    found = _terms(draft, after)
    if found is None:
        raise Forbidden(
            f"permission denied: no access policy admits client {after.client} "
            f"to this exporter for {after.duration}"
        )
    return replace(after, spot=found.spot, priority=found.priority) if moved else after


def _terms(draft: Draft, lease: Lease) -> Admission | None:
    """Return how a lease may have its exporter, or the best that it may wait for."""
    scene = situation(draft, lease.namespace)
    if lease.exporter is None:
        found = options(Demand.of(lease), scene)
        return None if isinstance(found, Refusal) else min(one.admission for one in found)
    labels = scene.labels.get(lease.client, NO_LABELS)
    admissions = Admissions.of(scene.policies, labels, lease.duration)
    return admissions.to(draft.book.exporters[lease.namespace, lease.exporter])
