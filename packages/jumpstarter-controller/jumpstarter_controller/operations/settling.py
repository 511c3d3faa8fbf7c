"""What follows from a change: leases run out, waiting ones are granted, refused or told why not."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from jumpstarter.model.status import ExporterStatus

from jumpstarter_controller.draft import Draft, Touched
from jumpstarter_controller.fleet import admits
from jumpstarter_controller.lease_state import (
    PENDING,
    evicted,
    granted,
    pending,
    refused,
    run_out,
)
from jumpstarter_controller.objects import Exporter, Lease
from jumpstarter_controller.prospects import Situation
from jumpstarter_controller.scheduling import Assignment, Decision, schedule
from jumpstarter_controller.timers import Timers
from jumpstarter_controller.topics import EXPORTER, LEASE, Topic

LOST = "the connection to the exporter was lost"


def settle(draft: Draft) -> None:
    """Work out what follows from what was put into `draft`, until nothing follows any more."""
    while draft.touched:
        touched, draft.touched = draft.touched, Touched()
        by_namespace: dict[str, list[Lease]] = {}
        for lease in _concerned(draft, touched):
            by_namespace.setdefault(lease.namespace, []).append(lease)
        for namespace, waiting in by_namespace.items():
            for decision in schedule(waiting, situation(draft, namespace), draft.now):
                _apply(draft, decision)
        for namespace, name in touched.leases:
            end_if_over(draft, draft.lease(namespace, name))


def fall_due(draft: Draft, timers: Timers, due: Iterable[Topic]) -> None:
    """Look at what is due: leases that begin or are over, exporters that fell silent."""
    for topic in due:
        key = topic.namespace, topic.name
        if topic.kind == LEASE:
            _look_at_lease(draft, timers, draft.book.leases.get(key))
        elif topic.kind == EXPORTER:
            _look_at_exporter(draft, timers, draft.book.exporters.get(key))
    settle(draft)


def _look_at_lease(draft: Draft, timers: Timers, lease: Lease | None) -> None:
    if lease is None:
        return
    end_if_over(draft, lease)
    if lease.waiting(draft.now):
        draft.touched.leases.add((lease.namespace, lease.name))
        # So far it was awaited to begin; now it is to end.
        timers.watch(lease, draft.now)


def _look_at_exporter(draft: Draft, timers: Timers, exporter: Exporter | None) -> None:
    if exporter is None or not exporter.online:
        return
    if timers.silent_at(exporter) <= draft.now:
        lose(draft, exporter)
    else:
        timers.watch(exporter, draft.now)


def lose(draft: Draft, exporter: Exporter) -> None:
    """Take in that nothing was heard of an exporter for too long."""
    draft.put(
        replace(
            exporter,
            status=ExporterStatus.OFFLINE,
            status_message=LOST,
            online=False,
            lost=True,
        )
    )


def situation(draft: Draft, namespace: str) -> Situation:
    """Return what the scheduler must know of a namespace."""
    return draft.book.situation(namespace, spot=draft.settings.spot)


def end_if_over(draft: Draft, lease: Lease | None) -> None:
    """End a lease whose time is over."""
    if lease is None or lease.ended:
        return
    ends = lease.expires_at
    if ends is not None and ends <= draft.now:
        draft.put(run_out(lease, draft.now))


def _concerned(draft: Draft, touched: Touched) -> Iterable[Lease]:
    """Return the waiting leases that may fare differently now, each once.

    Whom to evict depends on everybody who waits: one that cleans up is spoken for by the first.
    """
    asking = {namespace for namespace, _ in touched.leases}
    asking |= {one.namespace for one in touched.exporters}
    whole = touched.namespaces | {one for one in asking if draft.book.has_spot(one)}
    found = {key: draft.book.leases.get(key) for key in touched.leases}
    for namespace in whole | {one.namespace for one in touched.exporters}:
        exporters = [one for one in touched.exporters if one.namespace == namespace]
        for lease in draft.book.unassigned(namespace).values():
            if namespace in whole or any(
                could_have(lease, one.name, one.labels) for one in exporters
            ):
                found[namespace, lease.name] = lease
    return [one for one in found.values() if one is not None and one.waiting(draft.now)]


def could_have(lease: Lease, name: str, labels: Mapping[str, str]) -> bool:
    """Return whether what the lease asks for fits an exporter."""
    if lease.exporter_name is not None:
        return lease.exporter_name == name
    return admits(lease.selector, labels)


def _apply(draft: Draft, decision: Decision) -> None:
    lease = decision.lease
    if decision.evicts is not None:
        draft.put(evicted(decision.evicts, lease.client, draft.now))
    if isinstance(decision, Assignment):
        exporter = draft.book.exporters[lease.namespace, decision.option.exporter.name]
        exporter = replace(exporter, fence=exporter.fence + 1)
        draft.put(exporter)
        draft.put(granted(lease, exporter, decision.option.admission, draft.now))
    elif decision.kind == PENDING:
        draft.put(pending(lease, decision.reason, decision.message, draft.now))
    else:
        draft.put(refused(lease, decision.kind, decision.reason, decision.message, draft.now))
