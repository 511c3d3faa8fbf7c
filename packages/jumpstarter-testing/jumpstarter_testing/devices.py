"""The devices that a run of pytest holds: which, until when, and for whom.

Rule: what is wished for twice is leased once, for the second lease would wait for the first to end.
A device is given back when the last who uses it is done, however that comes about.
"""

import os
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import anyio
import pytest
from jumpstarter.client.base import DriverClient
from jumpstarter.client.lease import Lease
from jumpstarter.client.records import Lease as Record
from jumpstarter.config import env as names
from jumpstarter.config.client import ClientConfigV1Alpha1, UserConfigV1Alpha1
from jumpstarter.environment import env
from jumpstarter.model.errors import ConfigurationError, ConnectionError  # noqa: A004 - its name
from jumpstarter.rpc.portal import open_portal

from .recording import ExporterLog, Output, exporter_log, recorded_consoles
from .stopping import entered_patiently, terminated_as_interrupted
from .wishes import Wish

ASK_SECONDS: Final = 5.0
"""Seconds in which the controller must have said whether a lease still lasts."""

DEFAULT_ALIAS: Final = "default"

SHELL: Final = "run pytest inside `jmp shell`, for instance `jmp shell --exporter NAME -- pytest`"

Tell = Callable[[str], None]


@dataclass(kw_only=True, eq=False)
class Held:
    """A device that tests can use; `lease` is None where a shell holds it."""

    client: DriverClient
    lease: Lease | None
    consoles: Mapping[str, Output]
    log: ExporterLog
    stack: ExitStack
    users: int = 0
    lost: str | None = None
    """Why the device is of no use any more, as one line."""

    def forget(self) -> None:
        """Drop what the device has said."""
        self.said()

    def said(self) -> list[tuple[str, str]]:
        """Return what the device has said since this was last asked, by its origin."""
        sources = [(f"output of {path}", output) for path, output in self.consoles.items()]
        texts = [(name, source.take()) for name, source in [*sources, ("exporter log", self.log)]]
        return [(name, text) for name, text in texts if text]

    def look(self) -> None:
        """Find out why the device is lost, if the lease knows that it is."""
        if self.lease is not None and (self.lease.lease_ended or self.lease.lease_transferred):
            self.ask()

    def ask(self) -> None:
        """Find out from the controller whether the lease still lasts."""
        if self.lease is not None and self.lost is None:
            self.lost = self.lease.portal.call(_ask, self.lease)


async def _ask(lease: Lease) -> str | None:
    with anyio.move_on_after(ASK_SECONDS), suppress(ConnectionError):
        return loss(await lease.get(), lease.client_name)
    # The controller does not say, so what was heard last counts.
    known = lease.lease_ended or lease.lease_transferred
    return f"the lease of {lease.exporter_name} has ended ({lease.name})" if known else None


def loss(record: Record, client: str | None) -> str | None:
    """Return why the lease of `record` is of no use to `client` any more; None while it is."""
    if record.effective_end_time is None and record.client == client:
        return None
    what = f"{record.exporter} is lost"
    if record.client != client:
        return f"{what}: the lease was transferred to {record.client} ({record.name})"
    times = record.times
    ran_out = (
        times.duration and times.effective_duration and times.effective_duration >= times.duration
    )
    hint = "; --jmp-duration asks for a longer lease" if ran_out else ""
    return f"{what}: {record.verdict.text} ({record.name}){hint}"


@dataclass(frozen=True, eq=False)
class Use:
    """A fixture that gives a device to the tests below `node`."""

    node: pytest.Collector
    fixture: str
    held: Held

    def covers(self, item: pytest.Item) -> bool:
        """Return whether `item` is among those."""
        fixtures: list[str] = getattr(item, "fixturenames", [])
        return self.fixture in fixtures and self.node in item.listchain()


@dataclass(eq=False)
class Devices:
    """The devices of one run of pytest."""

    options: Wish
    consoles: frozenset[str]
    tell: Tell
    _held: dict[Wish, Held] = field(default_factory=dict[Wish, Held], init=False)
    _uses: list[Use] = field(default_factory=list[Use], init=False)
    _guard: ExitStack = field(default_factory=ExitStack, init=False)

    @contextmanager
    def use(self, wish: Wish, node: pytest.Collector, fixture: str) -> Generator[DriverClient]:
        """Yield the client of a device as wished, for the tests below `node`.

        Raises as a lease does, ConfigurationError when nothing says which device or client.
        """
        wish = Wish() if in_shell() else wish
        if wish not in self._held:
            if not self._held:
                self._guard.enter_context(terminated_as_interrupted())
            self._held[wish] = self._open(wish)
        held = self._held[wish]
        held.users += 1
        use = Use(node, fixture, held)
        self._uses.append(use)
        try:
            yield held.client
        finally:
            self._uses.remove(use)
            held.users -= 1
            if not held.users:
                del self._held[wish]
                held.stack.close()

    def used_by(self, item: pytest.Item) -> list[Held]:
        """Return the devices that `item` uses."""
        return list({id(use.held): use.held for use in self._uses if use.covers(item)}.values())

    def close(self) -> None:
        """Forget the signals; the devices have been given back by those who used them."""
        self._guard.close()

    def _open(self, wish: Wish) -> Held:
        with ExitStack() as stack:
            if in_shell():
                lease, client = None, stack.enter_context(env())
            else:
                lease = stack.enter_context(leased(wish, self.tell))
                client = stack.enter_context(lease.connect())
            return Held(
                client=client,
                lease=lease,
                consoles=recorded_consoles(client, self.consoles),
                log=stack.enter_context(exporter_log(client)),
                stack=stack.pop_all(),
            )


def in_shell() -> bool:
    """Return whether a shell around the tests has chosen the device."""
    return names.text(os.environ, names.JUMPSTARTER_HOST) is not None


@contextmanager
def leased(wish: Wish, tell: Tell) -> Generator[Lease]:
    """Hold a lease of the device that is wished for; `tell` hears what it waits for."""
    chosen = wish.selector or wish.exporter or wish.lease
    if not chosen and names.text(os.environ, names.JMP_LEASE) is None:
        raise ConfigurationError(
            f"{names.JUMPSTARTER_HOST} not set, and no device chosen: {SHELL}, or lease a device "
            "with --jmp-selector"
        )
    config = chosen_client(wish.client)

    def waiting(text: str) -> None:
        tell(f"waiting for {wish.words}: {text}")

    with open_portal() as portal:
        asked = config.lease_async(
            wish.selector,
            wish.exporter,
            wish.lease,
            wish.duration,
            portal,
            wish.timeout,
            waiting_callback=waiting,
        )
        with entered_patiently(portal, asked) as lease, lease.monitor(timedelta(0)):
            yield lease


def chosen_client(client: str | None) -> ClientConfigV1Alpha1:
    """Return the client that is named, else the environment's, the current one or `default`.

    Raises ConfigurationError or jumpstarter.model.errors.FileNotFoundError without one.
    """
    if client is not None:
        is_file = os.sep in client or client.endswith((".yaml", ".yml"))
        by_name = ClientConfigV1Alpha1.from_file if is_file else ClientConfigV1Alpha1.load
        return by_name(client)
    found = ClientConfigV1Alpha1.try_from_env() or _current_client()
    if found is not None:
        return found
    if ClientConfigV1Alpha1.exists(DEFAULT_ALIAS):
        return ClientConfigV1Alpha1.load(DEFAULT_ALIAS)
    raise ConfigurationError(
        f"{names.JUMPSTARTER_HOST} not set, and no client chosen to lease a device: {SHELL}, or "
        "name a client with --jmp-client or `jmp config client use`; `jmp login` makes one"
    )


def _current_client() -> ClientConfigV1Alpha1 | None:
    return UserConfigV1Alpha1.load().config.current_client if UserConfigV1Alpha1.exists() else None
