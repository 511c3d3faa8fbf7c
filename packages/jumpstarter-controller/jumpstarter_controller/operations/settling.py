"""What follows from a change: leases run out, waiting ones are granted, refused or told why not."""

from collections.abc import Iterable
from dataclasses import replace

from jumpstarter.model.status import ExporterStatus

from jumpstarter_controller.deciding import decide
from jumpstarter_controller.draft import Draft, Touched
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
from jumpstarter_controller.scheduling import Assignment, Decision
from jumpstarter_controller.timers import Timers
from jumpstarter_controller.topics import EXPORTER, LEASE, Topic

LOST = "the connection to the exporter was lost"


def settle(draft: Draft) -> None:
    """Work out what follows from what was put into `draft`, until nothing follows any more."""
    while draft.touched:
        touched, draft.touched = draft.touched, Touched()
        for namespace in touched.everywhere():
            market = draft.book.market(namespace, spot=draft.settings.spot)
            for decision in decide(market, draft.now):
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
