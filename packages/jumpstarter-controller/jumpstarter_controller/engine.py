"""The face of the lab: every question and every order goes through `Engine`.

Rule: nothing is decided here. An order is a plain function over a draft of the lab's state; the
writer runs it, stores what it changed and only then answers. Questions are answered from what is
stored. `async with open_store(path) as store, Engine(store) as engine` is a running lab.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from functools import partial

import anyio
from anyio import AsyncContextManagerMixin
from jumpstarter.model.status import ExporterStatus
from jumpstarter.streams.background import background_tasks

from .book import Settings
from .clock import Clock, SystemClock
from .errors import NotFound
from .metrics import Numbers
from .objects import (
    Client,
    Device,
    Exporter,
    ExporterLease,
    Kind,
    Lease,
    LeaseChange,
    LeaseRequest,
    Page,
    Place,
    Policy,
    PolicyRule,
    Ref,
    Router,
)
from .operations import access, exporters, leases, people, routers
from .questions import LeaseFilter, Questions
from .queueing import FEW
from .store.protocol import Store
from .topics import exporter_topic, lease_topic, queue_topic
from .watch import LocalWatch, Watch
from .watching import Gone, apart, changes, until_ended
from .writer import Writer

DEFAULTS = Settings()


class Engine(AsyncContextManagerMixin):
    """A running lab. Callers are already authenticated; whose lease it is, is checked here.

    Every method that changes something returns once the change is on disk, and raises
    StoreUnavailable, with nothing changed, when it cannot be. Names are checked here too.
    """

    def __init__(
        self,
        store: Store,
        *,
        clock: Clock | None = None,
        settings: Settings = DEFAULTS,
        watch: Watch | None = None,
    ) -> None:
        """Keep the lab in `store`; the time is that of `clock`."""
        self.clock: Clock = clock or SystemClock()
        self.settings = settings
        self._watch: Watch = watch or LocalWatch()
        self._writer = Writer(store, self.clock, settings, self._watch)
        self._do = self._writer.do
        self._ask = Questions(store, self._writer.committed, self.clock, settings)

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator["Engine"]:
        """Run the lab; what was ordered before the end is still done."""
        async with background_tasks() as tasks:
            await tasks.start(self._writer.run)
            try:
                yield self
            finally:
                self._writer.close()
                with anyio.CancelScope(shield=True):
                    await self._writer.ended.wait()

    async def catch_up(self) -> None:
        """Return once everything is done that is due by now, and everything ordered before."""
        await self._do(lambda _: None)

    # Clients and exporters, for the administrator.

    async def create_client(
        self,
        namespace: str,
        name: str,
        *,
        labels: Mapping[str, str] | None = None,
        username: str | None = None,
    ) -> Client:
        """Add a client. Raises AlreadyExists."""
        key = namespace, name
        order = partial(people.create_client, key=key, labels=labels or {}, username=username)
        return await self._do(order)

    async def create_exporter(
        self,
        namespace: str,
        name: str,
        *,
        labels: Mapping[str, str] | None = None,
        username: str | None = None,
    ) -> Exporter:
        """Add an exporter. Raises AlreadyExists."""
        key = namespace, name
        order = partial(people.create_exporter, key=key, labels=labels or {}, username=username)
        return await self._do(order)

    async def get_client(self, namespace: str, name: str) -> Client:
        """Return one client. Raises NotFound, like all that follow."""
        return self._ask.client(namespace, name)

    async def get_exporter(self, namespace: str, name: str) -> Exporter:
        """Return one exporter."""
        return self._ask.exporter(namespace, name)

    async def find(self, kind: Kind, namespace: str, name: str) -> Client | Exporter:
        """Return one client or exporter, for instance to check a token's uid and generation."""
        return self._ask.find(kind, namespace, name)

    async def list_clients(self, namespace: str, selector: str = "") -> Sequence[Client]:
        """Return the clients whose labels match, in order of name."""
        return self._ask.clients(namespace, selector)

    async def list_exporters(
        self, namespace: str, *, selector: str = "", page_size: int = 0, page_token: str = ""
    ) -> Page[Exporter]:
        """Return the exporters whose labels match, in order of name; a size of 0 means all."""
        return self._ask.exporters(namespace, selector, page_size, page_token)

    async def set_client(self, namespace: str, name: str, *, labels: Mapping[str, str]) -> Client:
        """Replace the labels of a client."""
        return await self._do(partial(people.set_client, key=(namespace, name), labels=labels))

    async def set_exporter(
        self,
        namespace: str,
        name: str,
        *,
        labels: Mapping[str, str] | None = None,
        enabled: bool | None = None,
    ) -> Exporter:
        """Replace the labels of an exporter, or say whether it takes new leases."""
        key = namespace, name
        return await self._do(partial(people.set_exporter, key=key, labels=labels, enabled=enabled))

    async def delete_client(self, namespace: str, name: str) -> None:
        """Remove a client. What it has leased stays leased; what it waits for is given up."""
        await self._do(partial(people.delete_client, key=(namespace, name)))

    async def delete_exporter(self, namespace: str, name: str) -> None:
        """Remove an exporter, and with it every lease that has or had it."""
        await self._do(partial(people.delete_exporter, key=(namespace, name)))

    async def rotate(self, kind: Kind, namespace: str, name: str) -> int:
        """Void all tokens of a client or exporter; return the generation of the next one."""
        return await self._do(partial(people.rotate, kind=kind, key=(namespace, name)))

    async def put_policy(
        self,
        namespace: str,
        name: str,
        *,
        exporter_selector: str = "",
        rules: Sequence[PolicyRule] = (),
    ) -> Policy:
        """Add a policy, or replace the one of this name."""
        policy = Policy(
            namespace=namespace,
            name=name,
            exporter_selector=exporter_selector,
            rules=tuple(rules),
        )
        return await self._do(partial(access.put_policy, policy=policy))

    async def delete_policy(self, namespace: str, name: str) -> None:
        """Remove a policy."""
        await self._do(partial(access.delete_policy, key=(namespace, name)))

    async def list_policies(self, namespace: str) -> Sequence[Policy]:
        """Return the policies, in order of name."""
        return self._ask.policies(namespace)

    # What exporters say.

    async def register(
        self, caller: Ref, labels: Mapping[str, str], devices: Sequence[Device]
    ) -> Exporter:
        """Take in which devices the exporter has; of the labels, those that are its own to set."""
        return await self._do(
            partial(exporters.register, caller=caller, labels=labels, devices=devices)
        )

    async def unregister(self, caller: Ref, reason: str = "") -> Exporter:
        """Take in that the exporter leaves. Its leases stay."""
        return await self._do(partial(exporters.unregister, caller=caller, reason=reason))

    async def report_status(
        self,
        caller: Ref,
        status: ExporterStatus,
        message: str = "",
        *,
        release_lease: bool = False,
    ) -> Exporter:
        """Take in what the exporter is doing, and end its lease where it says so."""
        return await self._do(
            partial(
                exporters.report_status,
                caller=caller,
                status=status,
                message=message,
                release=release_lease,
            )
        )

    async def seen(self, caller: Ref) -> None:
        """Take in that the exporter is there; to be called every 10 s while it listens."""
        exporter = self._ask.exporter(caller.namespace, caller.name)
        if exporter.uid == caller.uid and exporter.online and not exporter.lost:
            self._writer.heard(replace(exporter, last_seen=self.clock.now()))
            return
        await self._do(partial(exporters.seen, caller=caller))

    async def exporter_release(self, caller: Ref, name: str) -> Lease:
        """End the lease that the exporter serves; again is fine. Raises NotFound, WrongState."""
        order = partial(exporters.release, caller=caller, name=name)
        return await self._do(order, (caller.namespace, name))

    @asynccontextmanager
    async def watch_exporter(
        self, namespace: str, name: str
    ) -> AsyncGenerator[AsyncIterator[ExporterLease | None]]:
        """Give what the exporter is to know of its lease: at once, then each change.

        Between two leases there is always a None. It ends when the exporter is deleted. Entering
        is the exporter's connecting: one that was offline is not any more.
        """
        exporter = self._ask.exporter(namespace, name)
        with self._watch.subscribe(exporter_topic(namespace, name)) as signal:
            await self._do(partial(exporters.connect, caller=exporter.ref))

            async def look() -> ExporterLease | None:
                return self._ask.told_to(self._same(exporter))

            async with aclosing(changes(signal, look)) as told, aclosing(apart(told)) as leases_:
                yield leases_

    @asynccontextmanager
    async def watch_exporter_state(
        self, namespace: str, name: str
    ) -> AsyncGenerator[AsyncIterator[Exporter]]:
        """Give the exporter itself, at once, then each change; it ends when it is deleted."""
        exporter = self._ask.exporter(namespace, name)
        with self._watch.subscribe(exporter_topic(namespace, name)) as signal:

            async def look() -> Exporter:
                return self._same(exporter)

            async with aclosing(changes(signal, look)) as states:
                yield states

    def _same(self, exporter: Exporter) -> Exporter:
        """Return the exporter as it is now, unless it was deleted."""
        try:
            found = self._ask.exporter(exporter.namespace, exporter.name)
        except NotFound:
            raise Gone from None
        if found.uid != exporter.uid:
            raise Gone
        return found

    # Leases.

    async def create_lease(
        self, caller: Ref, namespace: str, request: LeaseRequest, lease_id: str | None = None
    ) -> Lease:
        """Make a lease; it is granted in here when an exporter is free."""
        order = partial(
            leases.create,
            caller=caller,
            namespace=namespace,
            request=request,
            lease_id=lease_id,
        )
        made = await self._do(order, (namespace, lease_id) if lease_id else None)
        return self._ask.as_it_is(made)

    async def update_lease(
        self, caller: Ref, namespace: str, name: str, change: LeaseChange
    ) -> Lease:
        """Change the times of a lease or who holds it. Its owner or an administrator may."""
        order = partial(leases.update, caller=caller, namespace=namespace, name=name, change=change)
        return self._ask.as_it_is(await self._do(order, (namespace, name)))

    async def release_lease(
        self, caller: Ref, namespace: str, name: str, *, again: bool = False
    ) -> Lease:
        """End a lease. Raises WrongState for one that was released, unless `again` allows it."""
        order = partial(leases.release, caller=caller, namespace=namespace, name=name, again=again)
        return await self._do(order, (namespace, name))

    async def get_lease(self, namespace: str, name: str) -> Lease:
        """Return one lease, ended or not."""
        return await self._ask.lease(namespace, name)

    async def list_leases(  # noqa: PLR0913 - all but one may be left out
        self,
        namespace: str,
        *,
        selector: str = "",
        tag_selector: str = "",
        only_active: bool = True,
        client: str | None = None,
        page_size: int = 0,
        page_token: str = "",
    ) -> Page[Lease]:
        """Return leases in order of name; a size of 0 means all."""
        wanted = LeaseFilter.of(
            namespace, selector, tag_selector, only_active=only_active, client=client
        )
        return await self._ask.leases(wanted, page_size, page_token)

    @asynccontextmanager
    async def watch_lease(self, namespace: str, name: str) -> AsyncGenerator[AsyncIterator[Lease]]:
        """Give a lease, at once, then each change, until it has ended or is removed."""
        first = await self._ask.lease(namespace, name)
        with self._watch.subscribe(lease_topic(namespace, name)) as signal:
            look = partial(self._same_lease, first)
            async with (
                aclosing(changes(signal, look)) as states,
                aclosing(until_ended(states)) as some,
            ):
                yield some

    @asynccontextmanager
    async def watch_queue(
        self, namespace: str, name: str
    ) -> AsyncGenerator[AsyncIterator[tuple[Lease, Place]]]:
        """Give a lease and where it stands, at once, then each change of either."""
        first = await self._ask.lease(namespace, name)
        topics = lease_topic(namespace, name), queue_topic(namespace, first.sequence)
        with self._watch.subscribe(*topics) as signal:

            async def look() -> tuple[Lease, Place]:
                found = await self._same_lease(first)
                return found, self._ask.place(found)

            async with aclosing(changes(signal, look)) as states:
                yield states

    async def _same_lease(self, lease: Lease) -> Lease:
        """Return the lease as it is now, unless it was removed."""
        try:
            found = await self._ask.lease(lease.namespace, lease.name)
        except NotFound:
            raise Gone from None
        if found.uid != lease.uid:
            raise Gone
        return found

    def queue(self, lease: Lease, few: int = FEW) -> Place:
        """Return where a lease stands among those that wait, why, and a few of who is ahead."""
        return self._ask.place(lease, few)

    def numbers(self) -> Numbers:
        """Return the state of the lab in numbers."""
        return self._ask.numbers(self._writer.acquisitions)

    # Routers.

    async def report_router(
        self, name: str, endpoint: str, labels: Mapping[str, str], load: float
    ) -> Router:
        """Take in that a router is there; to be called every few seconds."""
        known = self._ask.router(name)
        if known is not None and (known.endpoint, known.labels) == (endpoint, dict(labels)):
            router = replace(known, load=load, last_seen=self.clock.now())
            self._writer.heard(router)
            return router
        return await self._do(
            partial(routers.report, name=name, endpoint=endpoint, labels=labels, load=load)
        )

    async def forget_router(self, name: str) -> None:
        """Take in that a router has left."""
        await self._do(partial(routers.forget, name=name))

    async def routers(self) -> Sequence[Router]:
        """Return the routers that were heard of lately, the least loaded first."""
        return self._ask.routers()
