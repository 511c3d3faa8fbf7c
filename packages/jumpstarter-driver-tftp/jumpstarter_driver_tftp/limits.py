"""How much a server does at once, and for whom. Pure: the time is passed in.

A request's source address can be forged, so whatever is answered may go to somebody who never
asked. Two bounds keep that small: how often one address is answered at all, and how many transfers
it has. A transfer whose client has not answered yet makes room for a new one, so that abandoned and
forged requests never shut out a client that is really there.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

MAX_CLIENTS = 65_536
"""How many addresses are told apart at a time; those beyond share what one of them may do."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a server allows. The defaults are far above what a lab needs.

    One address may ask 50,000 times a second, since a rack of boards behind one NAT, a container
    host or a benchmark that fetches small files (15,000 a second and more) all have one address.
    Where a network is hostile, a few hundred are enough.

    Attributes:
        transfers: how many run at once.
        transfers_per_client: how many of them have clients at one address.
        requests_per_second: how many datagrams of one address are dealt with, in the long run.
        burst: how many of them may come at once.
    """

    transfers: int = 1000
    transfers_per_client: int = 256
    requests_per_second: float = 50_000.0
    burst: int = 5_000

    def __post_init__(self) -> None:
        """Check that everything is possible at least once."""
        values = (self.transfers, self.transfers_per_client, self.burst)
        if min(values) < 1 or self.requests_per_second <= 0:
            raise ValueError("each limit must be at least 1")


class Rates:
    """Counts what each address does: a token bucket each.

    A bucket is the time at which it will be full again. One that is full is the same as none, so
    those that nobody has touched for the time that it takes to fill one are forgotten.
    """

    def __init__(self, per_second: float, burst: int) -> None:
        """Begin with full buckets of `burst` tokens that get `per_second` new ones."""
        self._interval = 1.0 / per_second
        self._patience = (burst - 1) / per_second
        self._period = burst / per_second
        self._turned = 0.0
        self._recent: dict[str, float] = {}
        self._older: dict[str, float] = {}

    def __len__(self) -> int:
        """Return how many buckets are kept."""
        return len(self._recent) + len(self._older)

    def allow(self, client: str, now: float) -> bool:
        """Take a token from a client's bucket, and tell whether there was one."""
        if now - self._turned >= self._period:
            self._turned, self._older, self._recent = now, self._recent, {}
        full = self._recent.get(client)
        if full is None:
            if len(self._recent) >= MAX_CLIENTS:
                client = ""
                full = self._recent.get(client, now)
            else:
                full = self._older.get(client, now)
        full = max(full, now)
        if full - now > self._patience:
            return False
        self._recent[client] = full + self._interval
        return True


class Occupant(Hashable, Protocol):
    """Something that takes a place."""

    @property
    def expendable(self) -> bool:
        """Whether it may be ended to make room: its client has not answered, or has got all."""
        ...


T = TypeVar("T", bound=Occupant)


class FullError(Exception):
    """There is no place, and nobody who can make room."""


@dataclass(slots=True)
class _Client(Generic[T]):
    count: int = 0
    offered: "OrderedDict[T, None]" = field(default_factory=lambda: OrderedDict[T, None]())


class Places(Generic[T]):
    """Who has a place among the transfers. The number of places is bounded, overall and by client.

    An occupant that becomes expendable is offered once; that it is no longer is noticed when its
    turn comes.
    """

    def __init__(self, total: int, per_client: int) -> None:
        """Begin with all places free."""
        self._total = total
        self._per_client = per_client
        self._holders: dict[T, str] = {}
        self._clients: dict[str, _Client[T]] = {}
        self._offered: OrderedDict[T, None] = OrderedDict()

    def __len__(self) -> int:
        """Return how many places are taken."""
        return len(self._holders)

    def take(self, client: str, occupant: T) -> T | None:
        """Give a place to `occupant`; returns who made room for it and must end, if anybody.

        Raises:
            FullError: there is no place.
        """
        displaced = self._make_room(client)
        if displaced is not None:
            self.leave(displaced)
        self._holders[occupant] = client
        known = self._clients.get(client)
        if known is None:
            known = self._clients[client] = _Client()
        known.count += 1
        return displaced

    def offer(self, occupant: T) -> None:
        """Note that an occupant is expendable now."""
        client = self._holders.get(occupant)
        if client is not None:
            self._offered[occupant] = None
            self._clients[client].offered[occupant] = None

    def leave(self, occupant: T) -> None:
        """Free the place of an occupant, if it has one."""
        name = self._holders.pop(occupant, None)
        if name is None:
            return
        self._offered.pop(occupant, None)
        client = self._clients[name]
        client.offered.pop(occupant, None)
        client.count -= 1
        if not client.count:
            del self._clients[name]

    def _make_room(self, name: str) -> T | None:
        client = self._clients.get(name)
        if client is not None and client.count >= self._per_client:
            return _first_expendable(client.offered)
        if len(self._holders) >= self._total:
            return _first_expendable(self._offered)
        return None


def _first_expendable(offered: "OrderedDict[T, None]") -> T:
    while offered:
        occupant = next(iter(offered))
        if occupant.expendable:
            return occupant
        del offered[occupant]
    raise FullError
