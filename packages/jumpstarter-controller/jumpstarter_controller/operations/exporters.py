"""What exporters report: their devices, their status, that they are there, and that they leave."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from jumpstarter.model.status import ExporterStatus

from jumpstarter_controller.draft import Draft
from jumpstarter_controller.errors import NotFound, WrongState
from jumpstarter_controller.lease_state import released
from jumpstarter_controller.names import check_labels
from jumpstarter_controller.objects import Device, Exporter, Lease, Ref

from .people import OWN_PREFIX, known
from .settling import settle

LEFT = "the exporter has unregistered"

ABSENT = (ExporterStatus.OFFLINE, ExporterStatus.UNSPECIFIED)


def own(draft: Draft, caller: Ref) -> Exporter:
    """Return the exporter that calls; not one that took its name since."""
    key = caller.namespace, caller.name
    found = known("exporter", key, draft.book.exporters.get(key))
    if found.uid != caller.uid:
        raise NotFound(f"exporter {caller.name} not found in namespace {caller.namespace}")
    return found


def register(
    draft: Draft, *, caller: Ref, labels: Mapping[str, str], devices: Sequence[Device]
) -> Exporter:
    """Take in which devices an exporter has, and the labels that are its own to set."""
    exporter = own(draft, caller)
    told = {key: value for key, value in labels.items() if key.startswith(OWN_PREFIX)}
    check_labels(told)
    others = (item for item in exporter.labels.items() if not item[0].startswith(OWN_PREFIX))
    exporter = replace(exporter, labels=dict(others) | told, devices=tuple(devices))
    draft.put(exporter)
    settle(draft)
    return exporter


def unregister(draft: Draft, *, caller: Ref, reason: str) -> Exporter:
    """Take in that an exporter leaves. Its leases stay."""
    exporter = replace(
        own(draft, caller),
        devices=(),
        status=ExporterStatus.OFFLINE,
        status_message=reason or LEFT,
        online=False,
        lost=False,
    )
    draft.put(exporter)
    settle(draft)
    return exporter


def report_status(
    draft: Draft, *, caller: Ref, status: ExporterStatus, message: str, release: bool
) -> Exporter:
    """Take in what an exporter is doing, and end its lease where it says so."""
    exporter = replace(
        own(draft, caller),
        status=status,
        status_message=message,
        last_seen=draft.now,
        online=status not in ABSENT,
        lost=False,
    )
    draft.put(exporter)
    lease = draft.book.holder(exporter)
    if release and lease is not None:
        draft.put(released(lease, draft.now, "the exporter released the lease"))
    settle(draft)
    return exporter


def connect(draft: Draft, *, caller: Ref) -> Exporter:
    """Take in that an exporter listens for its leases: if it was offline, that is over.

    Exporters of old releases never report a status, so that only this brings them back.
    """
    exporter = replace(own(draft, caller), last_seen=draft.now, online=True, lost=False)
    if exporter.status is ExporterStatus.OFFLINE:
        exporter = replace(exporter, status=None, status_message="")
    draft.put(exporter)
    settle(draft)
    return exporter


def seen(draft: Draft, *, caller: Ref) -> Exporter:
    """Take in that an exporter is still there, which ends an absence that was only silence."""
    exporter = own(draft, caller)
    if exporter.lost:
        return connect(draft, caller=caller)
    online = exporter.status is not ExporterStatus.OFFLINE
    exporter = replace(exporter, last_seen=draft.now, online=online)
    draft.put(exporter)
    settle(draft)
    return exporter


def release(draft: Draft, *, caller: Ref, name: str) -> Lease:
    """End the lease that the exporter serves, because it says that it is over."""
    exporter = own(draft, caller)
    lease = known("lease", (caller.namespace, name), draft.lease(caller.namespace, name))
    if lease.exporter_uid != exporter.uid:
        raise WrongState(f"lease {name} is not held by exporter {exporter.name}")
    if lease.ended:
        return lease
    lease = released(lease, draft.now, "the exporter released the lease")
    draft.put(lease)
    settle(draft)
    return lease
