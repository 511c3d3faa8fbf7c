"""The life of one session, as a machine: an event and the time in, commands out.

It alone decides which status the exporter shows, when a hook runs, and what its failure means.
Whoever performs the commands decides nothing.

    NEW --begin--> BEFORE --ok/warn--> READY --end--> AFTER --> OVER
                     |                                  ^
                     +-- endLease, exit ----------------+-> OVER without the afterLease hook
"""

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Literal, TypeAlias

from jumpstarter.model.status import HOOK_WARNING_PREFIX, ExporterStatus

OnFailure: TypeAlias = Literal["warn", "endLease", "exit"]

RELEASE_DELAY = 1.0
"""Seconds for which an outcome is shown to who waits for it, before the lease is released."""


class Hook(Enum):
    """Which of the two scripts; the value is its key in a file."""

    BEFORE = "beforeLease"
    AFTER = "afterLease"


class Phase(Enum):
    """How far the session is."""

    NEW = auto()
    BEFORE = auto()
    READY = auto()
    AFTER = auto()
    OVER = auto()


@dataclass(frozen=True, slots=True)
class Begin:
    """The session is served and its client may come."""


@dataclass(frozen=True, slots=True)
class HookEnded:
    """A hook ran; `failure` says in words why it failed, and `on_failure` what that means."""

    hook: Hook
    failure: str | None = None
    on_failure: OnFailure = "warn"


@dataclass(frozen=True, slots=True)
class EndRequested:
    """The client, the controller or the operator wants the session to end.

    It is `watched` when whoever asked reads from the status how it ended, over the very connection
    that goes when the lease is released: clients of release 0.9.0 wait minutes for an answer.
    """

    watched: bool = False


@dataclass(frozen=True, slots=True)
class Closed:
    """The lease is over and its session closed: another one may come."""


@dataclass(frozen=True, slots=True)
class SetStatus:
    """Show this status."""

    status: ExporterStatus
    message: str = ""


@dataclass(frozen=True, slots=True)
class RunHook:
    """Run the hook, and say how it ended."""

    hook: Hook


@dataclass(frozen=True, slots=True)
class Release:
    """Give the lease back at the time `at`, in the clock of the events, or when it is over."""

    at: float


@dataclass(frozen=True, slots=True)
class Stop:
    """The exporter must not serve another session: end with this exit code."""

    exit_code: int


Event: TypeAlias = Begin | HookEnded | EndRequested | Closed
Command: TypeAlias = SetStatus | RunHook | Release | Stop

_AVAILABLE = SetStatus(ExporterStatus.AVAILABLE, "Available for new lease")


@dataclass
class SessionMachine:
    """Handles the events of one session; `hooks` are those that the configuration has."""

    hooks: frozenset[Hook] = frozenset()
    phase: Phase = field(default=Phase.NEW, init=False)
    _end_wanted: bool = field(default=False, init=False)
    _watched: bool = field(default=False, init=False)
    _on_failure: OnFailure = field(default="warn", init=False)

    def handle(self, event: Event, now: float) -> list[Command]:
        """Return what to do about `event` at the time `now`, in seconds of any clock."""
        match event, self.phase:
            case Begin(), Phase.NEW:
                return self._begin(now)
            case HookEnded(hook=Hook.BEFORE), Phase.BEFORE:
                return self._before_ended(event, now)
            case HookEnded(hook=Hook.AFTER), Phase.AFTER:
                return self._after_ended(event, now)
            case EndRequested(watched), Phase.READY:
                self._watched = watched
                return self._end(now)
            case EndRequested(watched), Phase.NEW | Phase.BEFORE:
                self._end_wanted, self._watched = True, watched
            case Closed(), Phase.OVER if self._on_failure == "endLease":
                self._on_failure = "warn"
                return [_AVAILABLE]
            case _:
                # A second wish to end changes nothing.
                pass
        return []

    def _begin(self, now: float) -> list[Command]:
        self.phase = Phase.BEFORE
        if Hook.BEFORE not in self.hooks:
            return self._ready("", now)
        return [
            SetStatus(ExporterStatus.BEFORE_LEASE_HOOK, "Running beforeLease hook"),
            RunHook(Hook.BEFORE),
        ]

    def _before_ended(self, event: HookEnded, now: float) -> list[Command]:
        if event.failure is None:
            return self._ready("", now)
        if event.on_failure == "warn":
            return self._ready(f"beforeLease hook warning: {event.failure}", now)
        self.phase = Phase.OVER
        failed = SetStatus(
            ExporterStatus.BEFORE_LEASE_HOOK_FAILED, f"beforeLease hook failed: {event.failure}"
        )
        return [failed, *self._give_up(event.on_failure, now)]

    def _ready(self, warning: str, now: float) -> list[Command]:
        self.phase = Phase.READY
        message = f"{HOOK_WARNING_PREFIX}{warning}" if warning else "Ready for commands"
        ready = SetStatus(ExporterStatus.LEASE_READY, message)
        return [ready, *(self._end(now) if self._end_wanted else [])]

    def _end(self, now: float) -> list[Command]:
        self.phase = Phase.AFTER
        if Hook.AFTER not in self.hooks:
            return self._after_ended(HookEnded(Hook.AFTER), now)
        return [
            SetStatus(ExporterStatus.AFTER_LEASE_HOOK, "Running afterLease hook"),
            RunHook(Hook.AFTER),
        ]

    def _after_ended(self, event: HookEnded, now: float) -> list[Command]:
        self.phase = Phase.OVER
        release = Release(now + RELEASE_DELAY if self._watched else now)
        if event.failure is None:
            return [_AVAILABLE, release]
        if event.on_failure == "warn":
            message = f"{HOOK_WARNING_PREFIX}afterLease hook warning: {event.failure}"
            return [SetStatus(ExporterStatus.AVAILABLE, message), release]
        failed = SetStatus(
            ExporterStatus.AFTER_LEASE_HOOK_FAILED, f"afterLease hook failed: {event.failure}"
        )
        return [failed, *self._give_up(event.on_failure, now)]

    def _give_up(self, on_failure: OnFailure, now: float) -> list[Command]:
        self._on_failure = on_failure
        release = Release(now + RELEASE_DELAY)
        if on_failure == "endLease":
            return [release]
        offline = SetStatus(ExporterStatus.OFFLINE, "Exporter is stopping after a failed hook")
        # Only now: clients of release 0.9.0 that miss the failure wait for it for minutes.
        return [release, offline, Stop(exit_code=1)]
