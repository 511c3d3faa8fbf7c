"""The transfers that run: who has one, who may have one, and how they are ended.

A client is known by its address and port, and has one transfer at a time: a new request replaces
the old one.
"""

import asyncio
import resource
from dataclasses import dataclass

import anyio

from jumpstarter_driver_tftp.conversation import Conversation
from jumpstarter_driver_tftp.journal import Entry
from jumpstarter_driver_tftp.limits import Limits, Places
from jumpstarter_driver_tftp.packet import Error, Request
from jumpstarter_driver_tftp.reception import Reception
from jumpstarter_driver_tftp.requests import Earlier, Repeat, judge_repeat
from jumpstarter_driver_tftp.sockets import Arrival, SockAddr
from jumpstarter_driver_tftp.transfer import Finish, Outcome

Transfer = Conversation | Reception

_DESCRIPTORS_PER_TRANSFER = 4
"""A file and two sockets, and some for everything else that the process has open."""


@dataclass(slots=True, eq=False)
class Running:
    """A transfer from its request on.

    Attributes:
        arrival: the datagram that began it.
        request: what that asks for.
        began: when that came.
        entry: what is noted about it.
        transfer: the transfer itself, once the file is open.
        finish: how it ended; it may have ended before it began.
    """

    arrival: Arrival
    request: Request
    began: float
    entry: Entry
    transfer: Transfer | None = None
    finish: Finish | None = None

    @property
    def expendable(self) -> bool:
        """Whether nobody may be there to miss it."""
        return self.transfer is not None and self.transfer.expendable

    @property
    def heard(self) -> bool:
        """Whether the client has sent anything after its request."""
        return self.transfer is not None and self.transfer.machine.heard

    @property
    def over(self) -> bool:
        """Whether it has ended, though its task may not know yet."""
        return self.finish is not None or (self.transfer is not None and self.transfer.over)

    @property
    def stored(self) -> bool:
        """Whether it is an upload that is complete, and only waits for a last ACK to be lost."""
        return isinstance(self.transfer, Reception) and self.transfer.stored

    def end(self, outcome: Outcome, text: str) -> None:
        """End without a word to the client."""
        self.finish = Finish(outcome, text=text)
        if self.transfer is not None:
            self.transfer.abandon(self.finish)

    def abort(self, error: Error) -> None:
        """End, and tell the client why."""
        self.finish = Finish(Outcome.FAILED, error.code, error.text)
        if self.transfer is not None:
            self.transfer.abort(error.code, error.text)
            self.transfer.abandon(self.finish)


class Transfers:
    """All transfers of one server."""

    def __init__(self, limits: Limits) -> None:
        """Begin without any."""
        total = min(limits.transfers, _affordable())
        self._places = Places[Running](total, limits.transfers_per_client)
        self._running: dict[SockAddr, Running] = {}
        self._changed = asyncio.Event()

    def is_new(self, arrival: Arrival, now: float) -> bool:
        """Tell whether a request begins a transfer, and deal with one that its client has."""
        running = self._running.get(arrival.peer)
        if running is None:
            return True
        if running.transfer is not None:
            running.transfer.catch_up()  # the client sent that before its request
        earlier = Earlier(running.arrival.datagram, running.began, running.heard)
        judged = judge_repeat(earlier, arrival.datagram, now)
        if judged is Repeat.REPLACE or running.over:
            running.end(Outcome.GONE, "the client began anew")
            self.leave(running)
            return True
        if judged is Repeat.RESEND and running.transfer is not None:
            running.transfer.repeat()
        return False

    def has(self, peer: SockAddr) -> bool:
        """Tell whether a client has a transfer, or waits for one to begin."""
        return peer in self._running

    def enter(self, running: Running) -> None:
        """Take in a transfer, for which another may have to make room.

        Raises:
            FullError: there is no room.
        """
        displaced = self._places.take(running.arrival.peer[0], running)
        if displaced is not None:
            displaced.end(Outcome.TIMED_OUT, "no answer, and others needed its place")
        self._running[running.arrival.peer] = running

    def offer(self, running: Running) -> None:
        """Note that a transfer is expendable now."""
        self._places.offer(running)

    def leave(self, running: Running) -> None:
        """Forget a transfer."""
        self._places.leave(running)
        if self._running.get(running.arrival.peer) is running:
            del self._running[running.arrival.peer]
        self._changed.set()

    async def drain(self, seconds: float) -> None:
        """Wait until all have ended, for at most `seconds`; uploads that are complete end now."""
        for running in self._running.values():
            if running.stored:
                running.end(Outcome.COMPLETE, "")
        with anyio.move_on_after(seconds):
            while self._running:
                self._changed.clear()
                await self._changed.wait()

    def abort(self, error: Error) -> None:
        """End all, and tell the clients why."""
        for running in list(self._running.values()):
            running.abort(error)


def _affordable() -> int:
    """Return for how many transfers this process may have descriptors."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = soft == resource.RLIM_INFINITY
    return 1 << 20 if unlimited else max(soft // _DESCRIPTORS_PER_TRANSFER, 1)
