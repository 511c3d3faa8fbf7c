"""Which calls meet, and what becomes of what they send: decisions, without a wire and a clock.

Two calls of one stream are a pair. What one of them sends is written to the other, verbatim and in
order; the next message is read while the one before is being written, and no more, so that a side
that does not read stops the one that writes. The end of one direction leaves the other open. Both
calls end well only when both directions have, and everything was taken; whatever else ends one of
them ends the other with a failure, so that nobody takes a cut stream for a whole one.
"""

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count
from typing import Final, Generic, NamedTuple, TypeAlias, TypeVar

from .claims import Claims
from .fences import Fences

AHEAD_BYTES: Final = 1 << 16
"""How much is read of a call that nobody has met yet. Its half-close stands behind what it sent."""

AHEAD_MESSAGES: Final = 64

LINGER: Final = 5.0
"""Seconds for what should take none: that a call which is to fail takes what was sent to it, and
that somebody comes to one that has finished already, who may be on the way."""

CallT = TypeVar("CallT")


class Code(StrEnum):
    """How a call ends: the names of gRPC's statuses."""

    OK = "ok"
    ABORTED = "aborted"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    INTERNAL = "internal"
    NOT_FOUND = "not_found"
    UNAUTHENTICATED = "unauthenticated"
    UNAVAILABLE = "unavailable"
    UNIMPLEMENTED = "unimplemented"


class Outcome(NamedTuple):
    """The status of a call that is over; the text is for people."""

    code: Code
    text: str = ""


# "expired" in a text would make released clients log in again.
DONE: Final = Outcome(Code.OK)
LEFT: Final = Outcome(Code.ABORTED, "the other side left")
ALONE: Final = Outcome(Code.ABORTED, "it was closed before anybody came to its other end")
UNMET: Final = Outcome(Code.DEADLINE_EXCEEDED, "nobody came to the other end of the stream")
LEASE_OVER: Final = Outcome(Code.ABORTED, "the lease has ended")
STALE: Final = Outcome(Code.UNAUTHENTICATED, "the lease that the token is for has ended")
CLOSING: Final = Outcome(Code.UNAVAILABLE, "the router is shutting down")


class Read(NamedTuple, Generic[CallT]):
    """Read one message of a call."""

    call: CallT


class Write(NamedTuple, Generic[CallT]):
    """Write one message to a call."""

    call: CallT
    message: bytes


class End(NamedTuple, Generic[CallT]):
    """End a call, after what was written to it."""

    call: CallT
    outcome: Outcome


class Cut(NamedTuple, Generic[CallT]):
    """End a call at once; what it has not taken is lost."""

    call: CallT
    outcome: Outcome


Command: TypeAlias = Read[CallT] | Write[CallT] | End[CallT] | Cut[CallT]
Commands: TypeAlias = Sequence[Command[CallT]]


@dataclass(slots=True, eq=False)
class Party(Generic[CallT]):
    """One call that was let in.

    Attributes:
        held: messages that it sent and that its peer has not been written.
        reading, writing: whether a message is being read from it, or written to it.
        finished: whether it has said that it sends no more.
        outcome: how it ends, once that is decided.
        gone: whether it is over, and known to be.
        timer: the number of what is due for it.
    """

    call: CallT
    claims: Claims
    peer: "Party[CallT] | None" = None
    held: deque[bytes] = field(default_factory=deque[bytes])
    held_bytes: int = 0
    reading: bool = False
    writing: bool = False
    finished: bool = False
    outcome: Outcome | None = None
    gone: bool = False
    timer: int = -1


class Switchboard(Generic[CallT]):
    """Takes what happens to calls, and returns what is to be done with them.

    Every command is to be performed, in order. A `Read` is answered by `received` or, when the call
    broke, by nothing; a `Write` by `sent` likewise; every call by one `closed`, which comes last.
    """

    def __init__(self) -> None:
        """Begin without calls."""
        self.draining = False
        self._parties: dict[Party[CallT], None] = {}
        self._waiting: dict[str, list[Party[CallT]]] = {}
        self._fences = Fences()
        self._deadlines: list[tuple[float, int]] = []
        self._due: dict[int, Party[CallT]] = {}
        self._numbers = count()

    @property
    def calls(self) -> int:
        """How many calls there are, also those that wait."""
        return len(self._parties)

    @property
    def waiting(self) -> int:
        """How many calls have met nobody yet."""
        return sum(map(len, self._waiting.values()))

    @property
    def due(self) -> int:
        """For how many calls something is to be done at a time."""
        return len(self._due)

    @property
    def next_deadline(self) -> float | None:
        """When `tick` is to be called at the latest; None is never."""
        return self._deadlines[0][0] if self._deadlines else None

    def arrived(self, call: CallT, claims: Claims) -> tuple[Party[CallT] | None, Commands[CallT]]:
        """Let a call in, whose token is good; without a party it is refused."""
        if self.draining:
            return None, (End(call, CLOSING),)
        if not self._fences.admits(claims.lease, claims.fence):
            return None, (End(call, STALE),)
        party = Party(call, claims)
        self._parties[party] = None
        peer = self._take_match(claims)
        if peer is None:
            self._waiting.setdefault(claims.stream, []).append(party)
            self._at(claims.expires, party)
            return party, self._read_ahead(party)
        party.peer, peer.peer = peer, party
        return party, [*self._move(peer), *self._move(party)]

    def received(self, party: Party[CallT], message: bytes | None, now: float) -> Commands[CallT]:
        """Take a message that `party` sent; None when it has half-closed."""
        party.reading = False
        if party.outcome is not None:
            return ()
        peer = party.peer
        if message is None:
            party.finished = True
            if peer is None:
                self._at(min(now + LINGER, party.claims.expires), party)
                return ()
            return self._conclude(party, peer)
        if peer is not None and not peer.writing and not party.held:
            peer.writing = party.reading = True
            return Write(peer.call, message), Read(party.call)
        party.held.append(message)
        if peer is None:
            party.held_bytes += len(message)
            return self._read_ahead(party)
        return ()

    def sent(self, party: Party[CallT]) -> Commands[CallT]:
        """Note that `party` has taken what was written to it."""
        party.writing = False
        peer = party.peer
        if peer is None or party.outcome is not None or peer.outcome is not None:
            return ()
        return self._move(peer) or self._conclude(peer, party)

    def closed(self, party: Party[CallT], now: float, *, well: bool) -> Commands[CallT]:
        """Note that a call is over; `well` when its status could be given to it."""
        party.gone = True
        self._parties.pop(party, None)
        self._forget_waiting(party)
        self._due.pop(party.timer, None)
        party.held.clear()
        peer = party.peer
        if peer is None or peer.outcome is not None or peer.gone:
            return ()
        if well and party.outcome is DONE:
            return self._end(peer, DONE, now)
        reason = party.outcome
        return self._end(peer, LEFT if reason is None or reason is DONE else reason, now)

    def tick(self, now: float) -> Commands[CallT]:
        """Do what is due."""
        commands: list[Command[CallT]] = []
        while self._deadlines and self._deadlines[0][0] <= now:
            _, number = heapq.heappop(self._deadlines)
            party = self._due.pop(number, None)
            if party is None:
                continue
            if party.outcome is None:
                commands += self._end(party, ALONE if party.finished else UNMET, now)
            else:
                commands.append(Cut(party.call, party.outcome))
        return commands

    def refuse(self, lease: str, below: int, now: float) -> Commands[CallT]:
        """Cut the streams of `lease` with a number smaller than `below`, and let none in again."""
        self._fences.raise_to(lease, below, now)
        return self._cut(
            [
                party
                for party in self._parties
                if party.claims.lease == lease and party.claims.fence < below
            ],
            LEASE_OVER,
        )

    def drain(self, now: float) -> Commands[CallT]:
        """Let no call in any more, and end those that wait: nobody could come to meet them."""
        self.draining = True
        waiting = [party for parties in self._waiting.values() for party in parties]
        return [command for party in waiting for command in self._end(party, CLOSING, now)]

    def cut_all(self) -> Commands[CallT]:
        """Cut all streams."""
        return self._cut(list(self._parties), CLOSING)

    def _move(self, source: Party[CallT]) -> Commands[CallT]:
        """Write and read what can be now, in the direction that `source` sends in."""
        target = source.peer
        if target is None:
            return ()
        commands: list[Command[CallT]] = []
        if source.held and not target.writing:
            target.writing = True
            commands.append(Write(target.call, source.held.popleft()))
        if not (source.held or source.reading or source.finished):
            source.reading = True
            commands.append(Read(source.call))
        return commands

    def _read_ahead(self, party: Party[CallT]) -> Commands[CallT]:
        if party.held_bytes >= AHEAD_BYTES or len(party.held) >= AHEAD_MESSAGES:
            return ()
        party.reading = True
        return (Read(party.call),)

    def _conclude(self, last: Party[CallT], first: Party[CallT]) -> Commands[CallT]:
        """End the call that finished last, when all is done; `closed` then ends the other one.

        A call that breaks looks as if it had finished, for as long as it takes to hear that it is
        closed. So the other one is not told that all is well before this one could be told.
        """
        ready = last.finished and first.finished
        if not ready or last.held or first.held or last.writing or first.writing:
            return ()
        last.outcome = DONE
        return (End(last.call, DONE),)

    def _end(self, party: Party[CallT], outcome: Outcome, now: float) -> Commands[CallT]:
        party.outcome = outcome
        party.held.clear()
        self._forget_waiting(party)
        if outcome is not DONE:
            self._at(now + LINGER, party)
        return (End(party.call, outcome),)

    def _cut(self, parties: Sequence[Party[CallT]], outcome: Outcome) -> Commands[CallT]:
        for party in parties:
            party.outcome = outcome
            party.held.clear()
            self._forget_waiting(party)
        return [Cut(party.call, outcome) for party in parties]

    def _take_match(self, claims: Claims) -> Party[CallT] | None:
        """Return a call that waits for one with `claims`, and that waits no longer.

        Two of the same side are none: one that comes again must not meet what it left behind.
        """
        for party in self._waiting.get(claims.stream, ()):
            if claims.side is None or party.claims.side != claims.side:
                self._forget_waiting(party)
                self._due.pop(party.timer, None)
                return party
        return None

    def _forget_waiting(self, party: Party[CallT]) -> None:
        stream = party.claims.stream
        parties = self._waiting.get(stream)
        if parties is None or party not in parties:
            return
        parties.remove(party)
        if not parties:
            del self._waiting[stream]

    def _at(self, when: float, party: Party[CallT]) -> None:
        self._due.pop(party.timer, None)
        party.timer = next(self._numbers)
        self._due[party.timer] = party
        heapq.heappush(self._deadlines, (when, party.timer))
