"""What a server remembers of the requests that came to it, and who is told of them.

A request costs one small entry; its report is made when somebody wants it, so that a server that
nobody watches pays nothing per packet. Everything but `reports` belongs to the server's event loop.
"""

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from operator import itemgetter
from typing import Any

import anyio

from jumpstarter_driver_tftp.options import Pairs
from jumpstarter_driver_tftp.packet import Error, Opcode, Request
from jumpstarter_driver_tftp.reports import Report, State
from jumpstarter_driver_tftp.sockets import Arrival, SockAddr
from jumpstarter_driver_tftp.transfer import Finish, Outcome, Receiver, Sender

KEPT = 100
"""How many requests are remembered after their end."""

WAITING = 10_000
"""How many reports of one kind wait for one watcher at most."""

PROGRESS_SECONDS = 1.0
"""How often a watcher is told how far the running transfers are."""

_STATES = {
    Outcome.COMPLETE: State.COMPLETE,
    Outcome.REFUSED: State.ABORTED,
    Outcome.TIMED_OUT: State.SILENT,
    Outcome.FAILED: State.FAILED,
    Outcome.GONE: State.GONE,
}
_ACTIONS = {Opcode.RRQ: "read", Opcode.WRQ: "write"}


@dataclass(slots=True, eq=False)
class Entry:
    """One request.

    Attributes:
        number: counts the requests from 1.
        arrival: its datagram.
        request: what it asks for; None when it is no request.
        began: when it came, in seconds since the epoch.
        started: the same by the clock of `reports`.
        granted: the options that were acknowledged.
        size: bytes in the file, if known.
        machine: what decides about the transfer, once it has begun.
    """

    number: int
    arrival: Arrival
    request: Request | None
    began: float
    started: float
    granted: Pairs = ()
    size: int | None = None
    machine: Sender | Receiver | None = None
    state: State = State.RUNNING
    code: int = 0
    text: str = ""
    seconds: float = 0.0
    near: tuple[str, ...] = ()

    def report(self, now: float) -> Report:
        """Return what there is to tell now."""
        request = self.request
        return Report(
            number=self.number,
            client=shown(self.arrival.peer),
            server=shown(self.arrival.local),
            action=_ACTIONS.get(request.opcode, "") if request else "",
            name=request.name if request else "",
            mode=request.mode if request else "",
            asked=request.options if request else (),
            granted=self.granted,
            state=self.state,
            code=self.code,
            text=self.text,
            size=self.size,
            began=self.began,
            seconds=now - self.started if self.state is State.RUNNING else self.seconds,
            near=self.near,
            **_progress(self.machine),
        )


class Journal:
    """Keeps the running requests, and the latest of those that ended."""

    def __init__(self) -> None:
        """Begin with an empty journal."""
        self._count = 0
        self._running: dict[int, Entry] = {}
        self._ended: deque[Entry] = deque(maxlen=KEPT)
        self._watchers: list[_Watcher] = []

    def begin(self, arrival: Arrival, request: Request | None, began: float, now: float) -> Entry:
        """Note that a datagram has come, and return its entry."""
        self._count += 1
        entry = Entry(self._count, arrival, request, began, now)
        self._running[entry.number] = entry
        self._tell(entry, now)
        return entry

    def finish(self, entry: Entry, finish: Finish, now: float) -> bool:
        """Note how a transfer ended, and tell whether that is new: what is noted first counts."""
        return self._end(entry, _STATES[finish.outcome], finish.code, finish.text, now)

    def refuse(self, entry: Entry, error: Error, now: float, near: tuple[str, ...] = ()) -> None:
        """Note that a request was refused."""
        entry.near = near
        self._end(entry, State.REFUSED, error.code, error.text, now)

    def reports(self, now: float) -> list[Report]:
        """Return the running requests, then the newest that ended. Any thread may call this."""
        entries = [*list(self._running.values()), *reversed(list(self._ended))]
        return [entry.report(now) for entry in entries]

    @asynccontextmanager
    async def watch(self) -> AsyncGenerator[AsyncIterator[Report]]:
        """Give every change from now on, and each second how far the running transfers are.

        A watcher that is slow misses reports of running transfers, and of ends only the oldest of
        more than `WAITING`.
        """
        watcher = _Watcher()
        self._watchers.append(watcher)
        try:
            yield self._follow(watcher)
        finally:
            self._watchers.remove(watcher)

    async def _follow(self, watcher: "_Watcher") -> AsyncIterator[Report]:
        due = anyio.current_time() + PROGRESS_SECONDS
        while True:
            # No transfer tells of each packet, since that would cost all of them.
            with anyio.move_on_at(due):
                await watcher.wait()
            now = anyio.current_time()
            if now >= due:
                due = now + PROGRESS_SECONDS
                watcher.add(entry.report(now) for entry in self._running.values())
            for report in watcher.take():
                yield report

    def _end(self, entry: Entry, state: State, code: int, text: str, now: float) -> bool:
        if entry.state is not State.RUNNING:
            return False
        entry.state, entry.code, entry.text = state, code, text
        entry.seconds = now - entry.started
        self._running.pop(entry.number, None)
        self._ended.append(entry)
        self._tell(entry, now)
        return True

    def _tell(self, entry: Entry, now: float) -> None:
        if self._watchers:
            report = entry.report(now)
            for watcher in self._watchers:
                watcher.add([report])


class _Watcher:
    """The reports that wait for one watcher; of each running transfer only the latest."""

    def __init__(self) -> None:
        self._running: dict[int, tuple[int, Report]] = {}
        self._ended: deque[tuple[int, Report]] = deque(maxlen=WAITING)
        self._order = count()
        self._arrived = anyio.Event()

    def add(self, reports: Iterable[Report]) -> None:
        for report in reports:
            item = next(self._order), report
            if report.state is not State.RUNNING:
                self._ended.append(item)
            elif report.number in self._running or len(self._running) < WAITING:
                self._running[report.number] = item
            self._arrived.set()

    async def wait(self) -> None:
        await self._arrived.wait()

    def take(self) -> list[Report]:
        waiting = sorted([*self._running.values(), *self._ended], key=itemgetter(0))
        self._running.clear()
        self._ended.clear()
        self._arrived = anyio.Event()
        return [report for _, report in waiting]


def _progress(machine: Sender | Receiver | None) -> dict[str, Any]:
    """Return what a machine tells, by the names that it has in a report."""
    if machine is None:
        return {}
    return {
        "done": machine.done,
        "blocks": machine.acknowledged_blocks,
        "block_size": machine.terms.blksize,
        "window": machine.terms.windowsize,
        "resent": machine.resent,
        "heard": machine.heard,
        "rtt": machine.rtt,
    }


def summary(entry: Entry) -> str:
    """Return what a log says of a request that has ended."""
    client, request = shown(entry.arrival.peer), entry.request
    what = f"{client}: {_ACTIONS[request.opcode]} of {request.name!r}" if request else client
    if entry.state is State.REFUSED:
        near = f"; there is {' and '.join(map(repr, entry.near))}" if entry.near else ""
        return f"{what} refused: {entry.text}{near}"
    reason = f" ({entry.text!r})" if entry.text else ""
    machine = entry.machine
    if machine is None:
        return f"{what} {entry.state.value}{reason}"
    return (
        f"{what} {entry.state.value}{reason} after {machine.acknowledged_blocks} blocks"
        f" of {machine.terms.blksize} (window {machine.terms.windowsize})"
        f" in {entry.seconds:.2f} s, {machine.resent} sent again"
    )


def shown(peer: SockAddr) -> str:
    """Return an address and its port as a log shows them."""
    host = peer[0].removeprefix("::ffff:")
    return f"[{host}]:{peer[1]}" if ":" in host else f"{host}:{peer[1]}"
