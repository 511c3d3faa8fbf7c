"""The session machine: every event in every phase, and what holds in every life of a session."""

from collections import deque
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jumpstarter.model.machine import (
    RELEASE_DELAY,
    Begin,
    Closed,
    Command,
    EndRequested,
    Event,
    Hook,
    HookEnded,
    OnFailure,
    Phase,
    Release,
    RunHook,
    SessionMachine,
    SetStatus,
    Stop,
)
from jumpstarter.model.status import ExporterStatus

NOW = 100.0
BOTH = frozenset(Hook)
ON_FAILURE: tuple[OnFailure, ...] = ("warn", "endLease", "exit")

BEFORE_RUNS = SetStatus(ExporterStatus.BEFORE_LEASE_HOOK, "Running beforeLease hook")
AFTER_RUNS = SetStatus(ExporterStatus.AFTER_LEASE_HOOK, "Running afterLease hook")
READY = SetStatus(ExporterStatus.LEASE_READY, "Ready for commands")
READY_WARNED = SetStatus(
    ExporterStatus.LEASE_READY, "[HOOK_WARNING] beforeLease hook warning: broke"
)
AVAILABLE = SetStatus(ExporterStatus.AVAILABLE, "Available for new lease")
AVAILABLE_WARNED = SetStatus(
    ExporterStatus.AVAILABLE, "[HOOK_WARNING] afterLease hook warning: broke"
)
BEFORE_FAILED = SetStatus(ExporterStatus.BEFORE_LEASE_HOOK_FAILED, "beforeLease hook failed: broke")
AFTER_FAILED = SetStatus(ExporterStatus.AFTER_LEASE_HOOK_FAILED, "afterLease hook failed: broke")
OFFLINE = SetStatus(ExporterStatus.OFFLINE, "Exporter is stopping after a failed hook")

TO_PHASE: dict[Phase, list[Event]] = {
    Phase.NEW: [],
    Phase.BEFORE: [Begin()],
    Phase.READY: [Begin(), HookEnded(Hook.BEFORE)],
    Phase.AFTER: [Begin(), HookEnded(Hook.BEFORE), EndRequested()],
    Phase.OVER: [Begin(), HookEnded(Hook.BEFORE), EndRequested(), HookEnded(Hook.AFTER)],
}


def failed(hook: Hook, on_failure: OnFailure) -> HookEnded:
    return HookEnded(hook, "broke", on_failure)


def machine_in(phase: Phase, hooks: frozenset[Hook] = BOTH) -> SessionMachine:
    machine = SessionMachine(hooks)
    for event in TO_PHASE[phase]:
        machine.handle(event, NOW)
    assert machine.phase is phase
    return machine


MEANINGFUL: list[tuple[Phase, Event, Phase, list[Command]]] = [
    (Phase.NEW, Begin(), Phase.BEFORE, [BEFORE_RUNS, RunHook(Hook.BEFORE)]),
    (Phase.NEW, EndRequested(), Phase.NEW, []),
    (Phase.BEFORE, HookEnded(Hook.BEFORE), Phase.READY, [READY]),
    (Phase.BEFORE, failed(Hook.BEFORE, "warn"), Phase.READY, [READY_WARNED]),
    (
        Phase.BEFORE,
        failed(Hook.BEFORE, "endLease"),
        Phase.OVER,
        [BEFORE_FAILED, Release(NOW + RELEASE_DELAY)],
    ),
    (
        Phase.BEFORE,
        failed(Hook.BEFORE, "exit"),
        Phase.OVER,
        [BEFORE_FAILED, Release(NOW + RELEASE_DELAY), OFFLINE, Stop(1)],
    ),
    (Phase.BEFORE, EndRequested(), Phase.BEFORE, []),
    (Phase.READY, EndRequested(), Phase.AFTER, [AFTER_RUNS, RunHook(Hook.AFTER)]),
    (Phase.AFTER, HookEnded(Hook.AFTER), Phase.OVER, [AVAILABLE, Release(NOW)]),
    (Phase.AFTER, failed(Hook.AFTER, "warn"), Phase.OVER, [AVAILABLE_WARNED, Release(NOW)]),
    (
        Phase.AFTER,
        failed(Hook.AFTER, "endLease"),
        Phase.OVER,
        [AFTER_FAILED, Release(NOW + RELEASE_DELAY)],
    ),
    (
        Phase.AFTER,
        failed(Hook.AFTER, "exit"),
        Phase.OVER,
        [AFTER_FAILED, Release(NOW + RELEASE_DELAY), OFFLINE, Stop(1)],
    ),
]

EVENTS: list[Event] = [
    Begin(),
    EndRequested(),
    Closed(),
    *(HookEnded(hook) for hook in Hook),
    *(failed(hook, on_failure) for hook in Hook for on_failure in ON_FAILURE),
]

_DONE = [(phase, event) for phase, event, _, _ in MEANINGFUL]
MEANINGLESS = [(phase, event) for phase in Phase for event in EVENTS if (phase, event) not in _DONE]


@pytest.mark.parametrize(("phase", "event", "then", "commands"), MEANINGFUL)
def test_an_event_leads_on(phase: Phase, event: Event, then: Phase, commands: list[Command]):
    machine = machine_in(phase)
    assert machine.handle(event, NOW) == commands
    assert machine.phase is then


@pytest.mark.parametrize(("phase", "event"), MEANINGLESS)
def test_an_event_out_of_place_changes_nothing(phase: Phase, event: Event):
    machine = machine_in(phase)
    assert machine.handle(event, NOW) == []
    assert machine.phase is phase


def test_every_event_is_tried_in_every_phase():
    assert len(MEANINGFUL) + len(MEANINGLESS) == len(Phase) * len(EVENTS)


@pytest.mark.parametrize(
    ("hooks", "begun", "ended"),
    [
        (frozenset[Hook](), [READY], [AVAILABLE, Release(NOW)]),
        ({Hook.BEFORE}, [BEFORE_RUNS, RunHook(Hook.BEFORE)], [AVAILABLE, Release(NOW)]),
        ({Hook.AFTER}, [READY], [AFTER_RUNS, RunHook(Hook.AFTER)]),
    ],
)
def test_hooks_that_are_missing_are_left_out(
    hooks: frozenset[Hook], begun: list[Command], ended: list[Command]
):
    machine = SessionMachine(hooks)
    assert machine.handle(Begin(), NOW) == begun
    if Hook.BEFORE in hooks:
        machine.handle(HookEnded(Hook.BEFORE), NOW)
    assert machine.handle(EndRequested(), NOW) == ended


@pytest.mark.parametrize("on_failure", [None, "warn"])
def test_an_end_wished_for_during_the_hook_follows_it(on_failure: OnFailure | None):
    machine = machine_in(Phase.BEFORE)
    machine.handle(EndRequested(), NOW)
    ended = failed(Hook.BEFORE, on_failure) if on_failure else HookEnded(Hook.BEFORE)
    ready = READY_WARNED if on_failure else READY
    assert machine.handle(ended, NOW) == [ready, AFTER_RUNS, RunHook(Hook.AFTER)]


def test_an_end_wished_for_before_the_beginning_follows_it():
    machine = SessionMachine()
    machine.handle(EndRequested(), NOW)
    assert machine.handle(Begin(), NOW) == [READY, AVAILABLE, Release(NOW)]


@pytest.mark.parametrize("phase", [Phase.NEW, Phase.READY])
def test_who_asked_for_the_end_can_read_the_outcome_before_the_lease_goes(phase: Phase):
    machine = machine_in(phase, frozenset())
    commands = machine.handle(EndRequested(watched=True), NOW)
    if phase is Phase.NEW:
        commands = machine.handle(Begin(), NOW)
    assert commands[-2:] == [AVAILABLE, Release(NOW + RELEASE_DELAY)]


def test_who_asked_for_the_end_can_read_the_warning_of_the_hook():
    machine = machine_in(Phase.READY)
    machine.handle(EndRequested(watched=True), NOW)
    commands = machine.handle(failed(Hook.AFTER, "warn"), NOW)
    assert commands == [AVAILABLE_WARNED, Release(NOW + RELEASE_DELAY)]


@pytest.mark.parametrize("hook", Hook)
def test_a_failure_that_ended_the_lease_is_over_with_its_session(hook: Hook):
    machine = machine_in(Phase.BEFORE if hook is Hook.BEFORE else Phase.AFTER)
    machine.handle(failed(hook, "endLease"), NOW)
    assert machine.handle(Closed(), NOW) == [AVAILABLE]
    assert machine.handle(Closed(), NOW) == []


@pytest.mark.parametrize("hook", Hook)
def test_an_exporter_that_stops_is_never_available_again(hook: Hook):
    machine = machine_in(Phase.BEFORE if hook is Hook.BEFORE else Phase.AFTER)
    machine.handle(failed(hook, "exit"), NOW)
    assert machine.handle(Closed(), NOW) == []


HOOKS = st.sets(st.sampled_from(Hook)).map(frozenset)
OUTCOMES = st.sampled_from((None, *ON_FAILURE))


def live(
    hooks: frozenset[Hook], outcomes: dict[Hook, OnFailure | None], wishes: Sequence[int]
) -> tuple[SessionMachine, list[Command]]:
    """Perform a session whose end is wished for after as many events as each of `wishes` says.

    The last wish comes when nothing else is left to do.
    """
    machine, performed = SessionMachine(hooks), list[Command]()
    events: deque[Event] = deque([Begin()])
    handled = 0
    while events:
        commands = machine.handle(events.popleft(), NOW)
        performed += commands
        for command in commands:
            if isinstance(command, RunHook):
                outcome = outcomes[command.hook]
                ended = (
                    HookEnded(command.hook) if outcome is None else failed(command.hook, outcome)
                )
                events.append(ended)
        events.extendleft(EndRequested() for wish in wishes if wish == handled)
        handled += 1
        if not events and machine.phase is Phase.READY:
            events.append(EndRequested())
    return machine, performed


@given(HOOKS, st.fixed_dictionaries(dict.fromkeys(Hook, OUTCOMES)), st.lists(st.integers(0, 6)))
def test_every_session_ends_as_it_should(
    hooks: frozenset[Hook], outcomes: dict[Hook, OnFailure | None], wishes: list[int]
):
    machine, performed = live(hooks, outcomes, wishes)
    before_stops = Hook.BEFORE in hooks and outcomes[Hook.BEFORE] in ("endLease", "exit")
    expected = [RunHook(hook) for hook in Hook if hook in hooks]
    assert [item for item in performed if isinstance(item, RunHook)] == (
        expected[:1] if before_stops else expected
    )
    statuses = [item.status for item in performed if isinstance(item, SetStatus)]
    assert statuses.count(ExporterStatus.LEASE_READY) == (0 if before_stops else 1)
    assert machine.phase is Phase.OVER
    assert len([item for item in performed if isinstance(item, Release)]) == 1
    failures = [outcomes[hook] for hook in (Hook.BEFORE,) if before_stops] or [
        outcomes[hook] for hook in hooks
    ]
    assert (Stop(1) in performed) is ("exit" in failures)
    gave_up = statuses[-1] in (
        ExporterStatus.BEFORE_LEASE_HOOK_FAILED,
        ExporterStatus.AFTER_LEASE_HOOK_FAILED,
    )
    assert machine.handle(Closed(), NOW) == ([AVAILABLE] if gave_up else [])
    for event in EVENTS:
        assert machine.handle(event, NOW) == []


@given(HOOKS, st.lists(st.sampled_from(EVENTS)))
def test_no_order_of_events_repeats_or_revives(hooks: frozenset[Hook], events: list[Event]):
    machine, performed = SessionMachine(hooks), list[Command]()
    for event in events:
        performed += machine.handle(event, NOW)
    runs = [item.hook for item in performed if isinstance(item, RunHook)]
    assert len(runs) == len(set(runs)) <= len(hooks)
    statuses = [item.status for item in performed if isinstance(item, SetStatus)]
    gone = [
        ExporterStatus.AVAILABLE,
        ExporterStatus.OFFLINE,
        ExporterStatus.BEFORE_LEASE_HOOK_FAILED,
        ExporterStatus.AFTER_LEASE_HOOK_FAILED,
    ]
    over = [index for index, status in enumerate(statuses) if status in gone]
    assert ExporterStatus.LEASE_READY not in statuses[over[0] :] if over else True
    assert statuses.count(ExporterStatus.LEASE_READY) <= 1
