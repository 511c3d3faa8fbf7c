"""RouterRegistryService: routers say that they are there, and are told what to cut."""

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

import anyio
from google.protobuf.duration_pb2 import Duration
from jumpstarter.rpc.vanishing import to_client
from jumpstarter_protocol import admin_pb2, admin_pb2_grpc
from typing_extensions import override

from jumpstarter_controller.addresses import split_address
from jumpstarter_controller.engine import Engine
from jumpstarter_controller.errors import Closed, StoreUnavailable
from jumpstarter_controller.tokens import Kind

from .auth import Caller
from .calls import Callers, Context
from .messages import texts
from .routing import REPORT_SECONDS, Ended, Routing
from .statuses import BadForm, Code, Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterRegistryService(admin_pb2_grpc.RouterRegistryServiceServicer):
    """Serves routers."""

    engine: Engine
    callers: Callers
    routing: Routing
    key_set: str
    report_seconds: float = REPORT_SECONDS

    @override
    async def Register(  # pyright: ignore[reportIncompatibleMethodOverride] - writes to the context
        self,
        request_iterator: AsyncIterator[admin_pb2.RouterReport],
        context: Context,
    ) -> None:
        """Take in what a router reports, and send it orders, for as long as it holds on."""
        caller = await self.callers.require(context, Kind.ROUTER)
        async with self.routing.orders() as ended, anyio.create_task_group() as tasks:
            await to_client(context.write(self._first_orders()))
            tasks.start_soon(self._take_reports, caller, request_iterator, tasks.cancel_scope)
            async for item in ended:
                if ended.lost:
                    raise Refusal(Code.UNAVAILABLE, "the router takes its orders too slowly")
                await to_client(context.write(orders_message(item)))

    async def _take_reports(
        self,
        caller: Caller,
        reports: AsyncIterator[admin_pb2.RouterReport],
        scope: anyio.CancelScope,
    ) -> None:
        with self.routing.registered(caller.name) as is_only_call:
            try:
                async for report in reports:
                    await self.callers.auth.recheck(caller)
                    await self._take(caller.name, report)
            finally:
                if is_only_call():
                    with anyio.CancelScope(shield=True), suppress(Closed, StoreUnavailable):
                        await self.engine.forget_router(caller.name)
                scope.cancel()

    async def _take(self, name: str, report: admin_pb2.RouterReport) -> None:
        if report.draining:
            await self.engine.forget_router(name)
            return
        try:
            split_address(report.endpoint)
        except ValueError as error:
            raise BadForm(f"endpoint: {error}") from None
        await self.engine.report_router(
            name, report.endpoint, texts(report.labels), float(report.streams)
        )
        self.routing.reported(name)

    def _first_orders(self) -> admin_pb2.RouterOrders:
        interval = Duration()
        interval.FromNanoseconds(int(self.report_seconds * 1e9))
        return admin_pb2.RouterOrders(jwks=self.key_set, report_interval=interval)


def orders_message(ended: Ended) -> admin_pb2.RouterOrders:
    """Return the order to cut the streams of a lease."""
    return admin_pb2.RouterOrders(
        ended_leases=[admin_pb2.EndedLease(name=ended.lease, fence=ended.fence)]
    )
