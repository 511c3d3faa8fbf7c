"""Calls that came in: each carries out what was decided, and reports what became of it."""

import logging
from collections.abc import Callable
from contextvars import copy_context
from typing import Protocol, TypeAlias

from jumpstarter.logging import set_log_context

from . import health
from .claims import Claims, Verify
from .core import CoreCall, Event, Metadata, is_well, message_of
from .errors import KeysMissingError, TokenError
from .switchboard import (
    Code,
    Command,
    Commands,
    Cut,
    End,
    Outcome,
    Party,
    Read,
    Switchboard,
    Write,
)

logger = logging.getLogger(__name__)

AUTHORIZATION = "authorization"
BEARER = "bearer "
NOT_READY = Outcome(Code.UNAVAILABLE, "the router has not heard from its controller yet")
NO_SERVICE = Outcome(Code.NOT_FOUND, "there is no such service here")
FINE = Outcome(Code.OK)

Clock: TypeAlias = Callable[[], float]


class Room(Protocol):
    """What a stream needs of its router."""

    @property
    def board(self) -> "Switchboard[StreamCall]":
        """Decides."""
        ...

    @property
    def verify(self) -> Verify:
        """Believes tokens, or not."""
        ...

    @property
    def clock(self) -> Clock:
        """Returns the time."""
        ...


class StreamCall:
    """One call of RouterService's Stream."""

    __slots__ = ("_party", "_received", "_room", "_sent", "core")

    def __init__(self, core: CoreCall, room: Room) -> None:
        """Take the call; `begin` is next."""
        self.core = core
        self._room = room
        self._party: Party[StreamCall] | None = None
        self._received = self._on_received
        self._sent = self._on_sent
        core.closed = self._on_closed

    def begin(self) -> None:
        """Let the call in, or refuse it."""
        try:
            claims = self._room.verify(bearer_token(self.core.metadata), self._room.clock())
        except TokenError as refused:
            log_refusal(self.core.peer, str(refused))
            self.core.refuse(Outcome(Code.UNAUTHENTICATED, str(refused)))
            return
        except KeysMissingError:
            self.core.refuse(NOT_READY)
            return
        self._party, commands = self._room.board.arrived(self, claims)
        if self._party is None:
            for command in commands:
                self.refuse(command)
            return
        self.core.open()
        log_arrival(self.core.peer, claims, met=self._party.peer is not None)
        perform(commands)

    def perform(self, command: "Command[StreamCall]") -> None:
        """Carry out one command."""
        match command:
            case Write():
                self.core.write(command.message, self._sent)
            case Read():
                self.core.read(self._received)
            case End():
                self.core.end(command.outcome)
            case Cut():
                self.core.cut(command.outcome)

    def refuse(self, command: "Command[StreamCall]") -> None:
        """End the call before it has begun."""
        if isinstance(command, End):
            log_refusal(self.core.peer, command.outcome.text)
            self.core.refuse(command.outcome)

    def _on_received(self, event: Event) -> None:
        # What broke is told by the end of the call, which comes next.
        if event.success and self._party is not None:
            message = message_of(event)
            perform(self._room.board.received(self._party, message, self._room.clock()))

    def _on_sent(self, event: Event) -> None:
        if event.success and self._party is not None:
            perform(self._room.board.sent(self._party))

    def _on_closed(self, event: Event) -> None:
        party, self._party = self._party, None
        if party is not None:
            now = self._room.clock()
            perform(self._room.board.closed(party, now, well=is_well(event)))


class HealthCall:
    """One call of a health service; `watching` also tells what changes."""

    def __init__(
        self, core: CoreCall, watchers: "dict[HealthCall, None]", serving: Callable[[], bool]
    ) -> None:
        """Take the call; those that watch are in `watchers` for as long as they do."""
        self.core = core
        self._watchers = watchers
        self._serving = serving
        self._told = b""
        self._known = False
        self._writing = False
        self._over = False
        core.closed = self._on_closed

    def begin(self) -> None:
        """Read the question."""
        self.core.open()
        self.core.read(self._on_question)

    def tell(self) -> None:
        """Tell the state to one that watches, if it has not been told."""
        state = health.response(serving=self._serving()) if self._known else health.UNKNOWN
        if self._told != state and not self._writing and not self._over:
            self._told, self._writing = state, True
            self.core.write(state, self._on_told)

    def _on_question(self, event: Event) -> None:
        if self._over:
            return
        question = message_of(event)
        self._known = question is not None and health.is_known(question)
        if self.core.method == health.WATCH:
            self._watchers[self] = None
            self.tell()
        elif self._known:
            self.core.write(health.response(serving=self._serving()), _ignore)
            self.core.end(FINE)
        else:
            self.core.end(NO_SERVICE)

    def _on_told(self, event: Event) -> None:
        self._writing = False
        if event.success:
            self.tell()

    def _on_closed(self, _event: Event) -> None:
        self._over = True
        self._watchers.pop(self, None)


def perform(commands: "Commands[StreamCall]") -> None:
    """Carry out what was decided."""
    for command in commands:
        command.call.perform(command)


def bearer_token(metadata: Metadata) -> str:
    """Return the one token that a caller shows. Raises TokenError."""
    values = [value for key, value in metadata if key == AUTHORIZATION]
    if not values:
        raise TokenError("the call shows no token")
    value = values[0]
    if len(values) > 1 or not isinstance(value, str) or value[: len(BEARER)].lower() != BEARER:
        raise TokenError("the call does not show one token, as `authorization: Bearer TOKEN`")
    return value[len(BEARER) :].strip()


def log_refusal(peer: str, reason: str) -> None:
    """Tell who was refused and why."""
    _log(logging.WARNING, f"router authentication failed: {reason}", peer=peer)


def log_arrival(peer: str, claims: Claims, *, met: bool) -> None:
    """Tell who came for which stream."""
    text = "both sides of a stream have met" if met else "a stream waits for its other side"
    side = claims.side or "any"
    _log(logging.INFO, text, peer=peer, lease=claims.lease, stream=claims.stream, side=side)


def _log(level: int, text: str, **values: str) -> None:
    """Log a line that carries `values`, which no other line then does."""

    def log() -> None:
        set_log_context(**values)
        logger.log(level, "%s", text)

    copy_context().run(log)


def _ignore(_event: Event) -> None:
    pass
