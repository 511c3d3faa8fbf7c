"""ClientService: what users and their programs ask about exporters and leases.

Rule: nothing is decided here. A request is taken apart, the engine is asked, the answer is put into
a message.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeVar

from google.protobuf.empty_pb2 import Empty
from jumpstarter.rpc.vanishing import to_client
from jumpstarter_protocol import client_pb2, client_pb2_grpc
from typing_extensions import override

from jumpstarter_controller.engine import Engine
from jumpstarter_controller.errors import InvalidRequest, LabError, NotFound, WrongState
from jumpstarter_controller.objects import UNCHANGED, Lease, LeaseChange, LeaseRequest, Unchanged
from jumpstarter_controller.queueing import FEW
from jumpstarter_controller.tokens import Kind, Signed, Subject
from jumpstarter_controller.validation import canonical_selector, check_tags

from .calls import Callers, Context, ref_of
from .hook_times import HookTimes, as_it_gets_ready
from .messages import LabelRules, exporter_message, lease_message, texts
from .resource_names import CLIENTS, EXPORTERS, LEASES, parse_parent, parse_path
from .statuses import BadForm, Code, Refusal
from .times import parse_duration, parse_timestamp, timestamp

T = TypeVar("T")

CHANGEABLE: Final = ("begin_time", "duration", "end_time", "client")

Sign = Callable[[Subject], Signed]
"""Makes an internal token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientService(client_pb2_grpc.ClientServiceServicer):
    """Serves clients; every call is about the caller's own namespace."""

    engine: Engine
    callers: Callers
    sign: Sign
    rules: LabelRules
    hook_times: HookTimes

    @override
    async def GetExporter(  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        self, request: client_pb2.GetExporterRequest, context: Context
    ) -> client_pb2.Exporter:
        """Read one exporter."""
        caller = await self.callers.require(context, Kind.CLIENT)
        namespace, _, name = parse_path(request.name, EXPORTERS)
        self.callers.check_namespace(context, caller, namespace)
        exporter = await self.engine.get_exporter(namespace, name)
        return exporter_message(exporter, self.rules, show_hidden=request.show_hidden_labels)

    @override
    async def ListExporters(  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        self, request: client_pb2.ListExportersRequest, context: Context
    ) -> client_pb2.ListExportersResponse:
        """Read a page of exporters."""
        namespace = await self._parent(request.parent, context)
        page = await self.engine.list_exporters(
            namespace,
            selector=request.filter,
            page_size=request.page_size,
            page_token=request.page_token,
        )
        show = request.show_hidden_labels
        return client_pb2.ListExportersResponse(
            exporters=[exporter_message(one, self.rules, show_hidden=show) for one in page.items],
            next_page_token=page.next_token,
        )

    @override
    async def GetLease(  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        self, request: client_pb2.GetLeaseRequest, context: Context
    ) -> client_pb2.Lease:
        """Read one lease, whoever holds it."""
        caller = await self.callers.require(context, Kind.CLIENT)
        namespace, _, name = parse_path(request.name, LEASES)
        self.callers.check_namespace(context, caller, namespace)
        lease = await self.engine.get_lease(namespace, name)
        if lease.exporter is None or not lease.owned_by(ref_of(caller)):
            return self._told(lease)
        return self._told(await self._as_it_gets_ready(lease, lease.exporter))

    @override
    async def ListLeases(  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        self, request: client_pb2.ListLeasesRequest, context: Context
    ) -> client_pb2.ListLeasesResponse:
        """Read a page of leases, whoever holds them."""
        namespace = await self._parent(request.parent, context)
        return await list_leases(self.engine, namespace, request, self.rules)

    @override
    async def CreateLease(  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        self, request: client_pb2.CreateLeaseRequest, context: Context
    ) -> client_pb2.Lease:
        """Make a lease for the caller."""
        caller = await self.callers.require(context, Kind.CLIENT)
        namespace = parse_parent(request.parent)
        self.callers.check_namespace(context, caller, namespace)
        wanted = lease_request(request, self.engine.settings.max_tags)
        lease = await self.engine.create_lease(
            ref_of(caller), namespace, wanted, request.lease_id or None
        )
        return self._told(lease)

    @override
    async def UpdateLease(  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        self, request: client_pb2.UpdateLeaseRequest, context: Context
    ) -> client_pb2.Lease:
        """Change a lease of the caller's."""
        caller = await self.callers.require(context, Kind.CLIENT)
        namespace, _, name = parse_path(request.lease.name, LEASES)
        self.callers.check_namespace(context, caller, namespace)
        change = lease_change(request, namespace)
        lease = await self.engine.update_lease(ref_of(caller), namespace, name, change)
        return self._told(lease)

    @override
    async def DeleteLease(  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        self, request: client_pb2.DeleteLeaseRequest, context: Context
    ) -> Empty:
        """End a lease of the caller's."""
        caller = await self.callers.require(context, Kind.CLIENT)
        namespace, _, name = parse_path(request.name, LEASES)
        self.callers.check_namespace(context, caller, namespace)
        try:
            await self.engine.release_lease(ref_of(caller), namespace, name, again=False)
        except WrongState as error:
            raise Refusal(Code.FAILED_PRECONDITION, error.message) from None
        return Empty()

    @override
    async def WatchLease(  # pyright: ignore[reportIncompatibleMethodOverride] - writes to the context
        self, request: client_pb2.WatchLeaseRequest, context: Context
    ) -> None:
        """Send one lease at each change of it or of its place in the queue, until it has ended."""
        caller = await self.callers.require(context, Kind.CLIENT)
        namespace, _, name = parse_path(request.name, LEASES)
        self.callers.check_namespace(context, caller, namespace)
        async with self.engine.watch_queue(namespace, name) as states:
            async for lease, place in states:
                await self.callers.auth.recheck(caller)
                message = lease_message(lease, self.engine.clock.now(), self.rules, place)
                await to_client(context.write(message))
                if lease.ended:
                    return

    @override
    async def RotateToken(  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        self, request: client_pb2.RotateTokenRequest, context: Context
    ) -> client_pb2.RotateTokenResponse:
        """Make a new token for the caller; those before it are refused from now on."""
        caller = await self.callers.require(context, Kind.CLIENT)
        self.callers.check_namespace(context, caller, parse_parent(request.parent))
        try:
            generation = await self.engine.rotate("Client", caller.namespace, caller.name)
        except LabError as error:
            raise Refusal(Code.INTERNAL, f"the token was not rotated: {error.message}") from None
        signed = self.sign(caller.subject(generation))
        return client_pb2.RotateTokenResponse(token=signed.token, expiry=timestamp(signed.expiry))

    async def _parent(self, parent: str, context: Context) -> str:
        caller = await self.callers.require(context, Kind.CLIENT)
        namespace = parse_parent(parent)
        self.callers.check_namespace(context, caller, namespace)
        return namespace

    async def _as_it_gets_ready(self, lease: Lease, name: str) -> Lease:
        try:
            exporter = await self.engine.get_exporter(lease.namespace, name)
        except NotFound:
            return lease
        slow = self.hook_times.slow(exporter.uid)
        return as_it_gets_ready(lease, exporter) if slow else lease

    def _told(self, lease: Lease) -> client_pb2.Lease:
        return told_lease(self.engine, lease, self.rules)


def told_lease(engine: Engine, lease: Lease, rules: LabelRules, few: int = FEW) -> client_pb2.Lease:
    """Return what is told of a lease, with its place among those that wait."""
    return lease_message(lease, engine.clock.now(), rules, engine.queue(lease, few))


async def list_leases(
    engine: Engine, namespace: str, request: client_pb2.ListLeasesRequest, rules: LabelRules
) -> client_pb2.ListLeasesResponse:
    """Return a page of the leases of a namespace."""
    with _bad_form():
        canonical_selector(request.tag_filter)
    page = await engine.list_leases(
        namespace,
        selector=request.filter,
        tag_selector=request.tag_filter,
        only_active=request.only_active if request.HasField("only_active") else True,
        page_size=request.page_size,
        page_token=request.page_token,
    )
    return client_pb2.ListLeasesResponse(
        leases=[told_lease(engine, lease, rules, few=1) for lease in page.items],
        next_page_token=page.next_token,
    )


def lease_request(request: client_pb2.CreateLeaseRequest, max_tags: int) -> LeaseRequest:
    """Return what is asked for. Raises BadForm or InvalidRequest."""
    if not request.HasField("lease"):
        raise BadForm("the request names no lease")
    lease = request.lease
    if not lease.selector and not lease.exporter_name:
        raise BadForm("a lease needs a selector, the name of an exporter, or both")
    tags = texts(lease.tags)
    with _bad_form():
        check_tags(tags, max_tags)
    return LeaseRequest(
        selector=lease.selector,
        exporter_name=lease.exporter_name or None,
        duration=_duration(lease),
        begin_time=_begin(lease),
        end_time=_end(lease),
        tags=tags,
        context=texts(lease.context),
        allow_disabled=lease.allow_disabled,
    )


def lease_change(request: client_pb2.UpdateLeaseRequest, namespace: str) -> LeaseChange:
    """Return what is to change: what the mask names, or without one what is set.

    Raises BadForm or InvalidRequest.
    """
    lease, paths = request.lease, list(request.update_mask.paths)
    unknown = sorted(set(paths) - set(CHANGEABLE))
    if unknown:
        known = ", ".join(CHANGEABLE)
        raise BadForm(f"update_mask: {unknown[0][:100]!r} cannot be changed; what can is {known}")
    named = set(paths) or {path for path in CHANGEABLE if lease.HasField(path)}

    def chosen(path: str, value: Callable[[], T]) -> T | Unchanged:
        return value() if path in named else UNCHANGED

    return LeaseChange(
        duration=chosen("duration", lambda: _duration(lease)),
        begin_time=chosen("begin_time", lambda: _begin(lease)),
        end_time=chosen("end_time", lambda: _end(lease)),
        client=chosen("client", lambda: _client(lease, namespace)),
    )


def _duration(lease: client_pb2.Lease) -> timedelta | None:
    return parse_duration("duration", lease.duration) if lease.HasField("duration") else None


def _begin(lease: client_pb2.Lease) -> datetime | None:
    if not lease.HasField("begin_time"):
        return None
    return parse_timestamp("begin_time", lease.begin_time)


def _end(lease: client_pb2.Lease) -> datetime | None:
    return parse_timestamp("end_time", lease.end_time) if lease.HasField("end_time") else None


def _client(lease: client_pb2.Lease, namespace: str) -> str:
    other, _, name = parse_path(lease.client, CLIENTS)
    if other != namespace:
        raise BadForm("a lease can only be given to a client of its own namespace")
    return name


@contextmanager
def _bad_form() -> Generator[None]:
    """Say so to every caller when something is wrong in itself."""
    try:
        yield
    except InvalidRequest as error:
        raise BadForm(error.message) from None
