"""ControllerService: exporters register, report and wait for their leases; clients dial them.

The calls about leases are those of clients older than ClientService.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
from google.protobuf.empty_pb2 import Empty
from jumpstarter.rpc.vanishing import to_client
from jumpstarter_protocol import jumpstarter_pb2, jumpstarter_pb2_grpc
from typing_extensions import override

from jumpstarter_controller.engine import Engine
from jumpstarter_controller.errors import Forbidden, NotFound, WrongState
from jumpstarter_controller.objects import Device, Lease, LeaseRequest
from jumpstarter_controller.presence import Presence
from jumpstarter_controller.tokens import Kind
from jumpstarter_controller.topics import exporter_topic
from jumpstarter_controller.watch import Watch

from .auth import Caller
from .calls import Callers, Context, ref_of
from .dialing import Dialer
from .hook_times import HookTimes
from .listen import Invitations
from .messages import (
    legacy_lease_message,
    listen_message,
    parse_legacy_selector,
    parse_status,
    status_message,
    texts,
)
from .statuses import Code, Refusal, refusal_of
from .times import parse_duration


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerService(jumpstarter_pb2_grpc.ControllerServiceServicer):
    """Serves exporters, and clients that dial."""

    engine: Engine
    callers: Callers
    dialer: Dialer
    invitations: Invitations
    watch: Watch
    hook_times: HookTimes
    presence: Presence

    @override
    async def Register(  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        self, request: jumpstarter_pb2.RegisterRequest, context: Context
    ) -> jumpstarter_pb2.RegisterResponse:
        """Take in which drivers an exporter has."""
        caller = await self.callers.require(context, Kind.EXPORTER)
        devices = [
            Device(
                uuid=report.uuid,
                parent_uuid=report.parent_uuid if report.HasField("parent_uuid") else None,
                labels=texts(report.labels),
            )
            for report in request.reports
        ]
        await self.engine.register(ref_of(caller), texts(request.labels), devices)
        return jumpstarter_pb2.RegisterResponse(uuid=caller.uid)

    @override
    async def Unregister(  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        self, request: jumpstarter_pb2.UnregisterRequest, context: Context
    ) -> jumpstarter_pb2.UnregisterResponse:
        """Take in that an exporter leaves."""
        caller = await self.callers.require(context, Kind.EXPORTER)
        await self.engine.unregister(ref_of(caller), request.reason)
        return jumpstarter_pb2.UnregisterResponse()

    @override
    async def ReportStatus(  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        self, request: jumpstarter_pb2.ReportStatusRequest, context: Context
    ) -> jumpstarter_pb2.ReportStatusResponse:
        """Take in what an exporter does."""
        caller = await self.callers.require(context, Kind.EXPORTER)
        status = parse_status(request.status)
        self.hook_times.reported(caller.uid, status, self.engine.clock.now())
        await self.engine.report_status(
            ref_of(caller),
            status,
            request.message,
            release_lease=request.release_lease,
        )
        return jumpstarter_pb2.ReportStatusResponse()

    @override
    async def Listen(  # pyright: ignore[reportIncompatibleMethodOverride] - writes to the context
        self, request: jumpstarter_pb2.ListenRequest, context: Context
    ) -> None:
        """Send an exporter one message for each client that dials it, until it hangs up.

        Not ended with the lease: exporters hang up themselves, and take another end for a failure.
        """
        caller = await self.callers.require(context, Kind.EXPORTER)
        lease = await self._named(caller, request.lease_name)
        if lease.exporter_uid != caller.uid:
            raise Forbidden(f"permission denied: lease {lease.name} is not this exporter's")
        async with self._supervised(caller):
            with self.invitations.listen((lease.namespace, lease.name)) as invitations:
                # Told before the first invitation, so that an exporter can know that it listens.
                await to_client(context.send_initial_metadata(()))
                async for invitation in invitations:
                    await to_client(context.write(listen_message(invitation)))

    @override
    async def Status(  # pyright: ignore[reportIncompatibleMethodOverride] - writes to the context
        self, request: jumpstarter_pb2.StatusRequest, context: Context
    ) -> None:
        """Tell an exporter its lease, at once and at each change."""
        caller = await self.callers.require(context, Kind.EXPORTER)
        async with (
            self._supervised(caller),
            self.engine.watch_exporter(caller.namespace, caller.name) as leases,
        ):
            async for told in leases:
                await to_client(context.write(status_message(told)))

    @asynccontextmanager
    async def _supervised(self, caller: Caller) -> AsyncGenerator[None]:
        """Run a stream to an exporter, which shows that it is there, while it may have it."""
        with self.presence.of(ref_of(caller)):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._supervise, caller)
                yield
                tasks.cancel_scope.cancel()

    async def _supervise(self, caller: Caller) -> None:
        with self.watch.subscribe(exporter_topic(caller.namespace, caller.name)) as news:
            while True:
                await news.wait()
                await self.callers.auth.recheck(caller)

    @override
    async def Dial(  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        self, request: jumpstarter_pb2.DialRequest, context: Context
    ) -> jumpstarter_pb2.DialResponse:
        """Bring a client to the exporter that it has leased."""
        caller = await self.callers.require(context, Kind.CLIENT)
        invitation = await self.dialer.dial(ref_of(caller), request.lease_name)
        return jumpstarter_pb2.DialResponse(
            router_endpoint=invitation.router_endpoint, router_token=invitation.router_token
        )

    @override
    async def AuditStream(  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        self,
        request_iterator: AsyncIterator[jumpstarter_pb2.AuditStreamRequest],
        context: Context,
    ) -> Empty:
        """Say that nothing is recorded here; no release calls this."""
        await context.abort(Code.UNIMPLEMENTED, "this controller records no audit")

    @override
    async def GetLease(  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        self, request: jumpstarter_pb2.GetLeaseRequest, context: Context
    ) -> jumpstarter_pb2.GetLeaseResponse:
        """Read a lease of the caller's."""
        caller = await self.callers.require(context, Kind.CLIENT)
        lease = await self._owned(caller, request.name)
        return legacy_lease_message(lease, lease.exporter_uid)

    @override
    async def RequestLease(  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        self, request: jumpstarter_pb2.RequestLeaseRequest, context: Context
    ) -> jumpstarter_pb2.RequestLeaseResponse:
        """Make a lease for the caller."""
        caller = await self.callers.require(context, Kind.CLIENT)
        wanted = LeaseRequest(
            selector=parse_legacy_selector(request.selector),
            duration=parse_duration("duration", request.duration)
            if request.HasField("duration")
            else None,
        )
        lease = await self.engine.create_lease(ref_of(caller), caller.namespace, wanted, None)
        return jumpstarter_pb2.RequestLeaseResponse(name=lease.name)

    @override
    async def ReleaseLease(  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        self, request: jumpstarter_pb2.ReleaseLeaseRequest, context: Context
    ) -> jumpstarter_pb2.ReleaseLeaseResponse:
        """End a lease, for its client or its exporter; ending it again succeeds."""
        caller = await self.callers.require(context, Kind.CLIENT, Kind.EXPORTER)
        if caller.kind is Kind.CLIENT:
            await self._owned(caller, request.name)
            await self.engine.release_lease(
                ref_of(caller), caller.namespace, request.name, again=True
            )
        else:
            await self._release_by_exporter(caller, request.name)
        return jumpstarter_pb2.ReleaseLeaseResponse()

    async def _release_by_exporter(self, caller: Caller, name: str) -> None:
        """End the lease that an exporter serves.

        Of the codes that say no, exporters take only these two for an answer; at others they fall
        back to an older way of releasing, for good.
        """
        try:
            await self.engine.exporter_release(ref_of(caller), name)
        except (NotFound, WrongState) as error:
            raise refusal_of(error, plain=False) from None

    @override
    async def ListLeases(  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        self, request: jumpstarter_pb2.ListLeasesRequest, context: Context
    ) -> jumpstarter_pb2.ListLeasesResponse:
        """List the names of the leases of the caller's that have not ended."""
        caller = await self.callers.require(context, Kind.CLIENT)
        page = await self.engine.list_leases(caller.namespace, only_active=True, client=caller.name)
        return jumpstarter_pb2.ListLeasesResponse(names=[lease.name for lease in page.items])

    @override
    async def GetServiceEndpoints(  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        self, request: jumpstarter_pb2.GetServiceEndpointsRequest, context: Context
    ) -> jumpstarter_pb2.GetServiceEndpointsResponse:
        """Say that there are no further services."""
        await self.callers.require(context, Kind.EXPORTER)
        return jumpstarter_pb2.GetServiceEndpointsResponse()

    async def _named(self, caller: Caller, name: str) -> Lease:
        if not name:
            raise Refusal(Code.UNKNOWN, "the request names no lease", Code.INVALID_ARGUMENT)
        return await self.engine.get_lease(caller.namespace, name)

    async def _owned(self, caller: Caller, name: str) -> Lease:
        lease = await self._named(caller, name)
        if not lease.owned_by(ref_of(caller)):
            raise Forbidden(f"permission denied: lease {lease.name} is another client's")
        return lease
