"""What a client asks its controller, as calls with plain arguments and checked answers.

Every call raises ConnectionError when the controller does not answer, or refuses; the text is what
it said.
"""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from grpc.aio import AioRpcError, Channel
from jumpstarter_protocol import client_pb2, client_pb2_grpc
from jumpstarter_protocol.aio import ClientServiceAsyncStub

from jumpstarter.model.errors import ConnectionError  # noqa: A004 - its public name
from jumpstarter.rpc.channels import translate_grpc_exceptions
from jumpstarter.rpc.stub import MultipathExporterStub as MultipathExporterStub
from jumpstarter.rpc.unary import answer

from .record_lists import ExporterList as ExporterList
from .record_lists import LeaseList as LeaseList
from .records import Exporter as Exporter
from .records import Lease as Lease
from .records import path_of
from .tables import WithOptions as WithOptions

CALL_SECONDS: Final = 60.0
"""Seconds in which a controller must have answered; it waits for nobody to do so."""


@dataclass(frozen=True, kw_only=True)
class ClientService:
    """Calls about the exporters and leases of `namespace`, over `channel`."""

    channel: Channel
    namespace: str
    stub: ClientServiceAsyncStub = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Make the stub."""
        object.__setattr__(self, "stub", client_pb2_grpc.ClientServiceStub(self.channel))

    async def GetExporter(self, *, name: str, show_hidden_labels: bool = False) -> Exporter:  # noqa: N802 - as its RPC
        """Return one exporter."""
        request = client_pb2.GetExporterRequest(
            name=self._path("exporters", name), show_hidden_labels=show_hidden_labels
        )
        with translate_grpc_exceptions():
            reply = await answer(self.stub.GetExporter(request, timeout=CALL_SECONDS))
        return Exporter.from_protobuf(reply)

    async def ListExporters(  # noqa: N802 - as its RPC
        self,
        *,
        page_size: int | None = None,
        page_token: str | None = None,
        filter: str | None = None,  # noqa: A002 - public API
        show_hidden_labels: bool = False,
    ) -> ExporterList:
        """Return a page of the exporters whose labels the selector `filter` admits."""
        request = client_pb2.ListExportersRequest(
            parent=self._parent,
            page_size=page_size or 0,
            page_token=page_token or "",
            filter=filter or "",
            show_hidden_labels=show_hidden_labels,
        )
        with translate_grpc_exceptions():
            reply = await answer(self.stub.ListExporters(request, timeout=CALL_SECONDS))
        return ExporterList.from_protobuf(reply)

    async def GetLease(self, *, name: str) -> Lease:  # noqa: N802 - as its RPC
        """Return one lease."""
        request = client_pb2.GetLeaseRequest(name=self._path("leases", name))
        with translate_grpc_exceptions():
            reply = await answer(self.stub.GetLease(request, timeout=CALL_SECONDS))
        return Lease.from_protobuf(reply)

    async def WatchLease(self, *, name: str) -> AsyncGenerator[Lease]:  # noqa: N802 - as its RPC
        """Yield one lease now and after each change; UNIMPLEMENTED by controllers before ours."""
        request = client_pb2.WatchLeaseRequest(name=self._path("leases", name))
        call = self.stub.WatchLease(request)
        try:
            async for reply in call:
                yield Lease.from_protobuf(reply)
        except AioRpcError:
            with translate_grpc_exceptions():
                raise
        finally:
            call.cancel()

    async def ListLeases(  # noqa: N802 - as its RPC
        self,
        *,
        page_size: int | None = None,
        page_token: str | None = None,
        filter: str | None = None,  # noqa: A002 - public API
        only_active: bool = True,
        tag_filter: str | None = None,
    ) -> LeaseList:
        """Return a page of the leases whose labels `filter` and whose tags `tag_filter` admit."""
        request = client_pb2.ListLeasesRequest(
            parent=self._parent,
            page_size=page_size or 0,
            page_token=page_token or "",
            filter=filter or "",
            only_active=only_active,
            tag_filter=tag_filter or "",
        )
        with translate_grpc_exceptions():
            reply = await answer(self.stub.ListLeases(request, timeout=CALL_SECONDS))
        return LeaseList.from_protobuf(reply)

    async def CreateLease(  # noqa: N802, PLR0913 - as its RPC, with what a lease may have
        self,
        *,
        selector: str | None,
        duration: timedelta,
        exporter_name: str | None = None,
        begin_time: datetime | None = None,
        lease_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        allow_disabled: bool = False,
        context: Mapping[str, str] | None = None,
    ) -> Lease:
        """Ask for a lease and return it, granted already where that was possible at once."""
        lease = client_pb2.Lease(
            selector=selector or "",
            duration=_duration(duration),
            exporter_name=exporter_name,
            tags=tags or {},
            allow_disabled=allow_disabled,
            context=context or {},
        )
        if begin_time is not None:
            lease.begin_time.CopyFrom(_timestamp(begin_time))
        request = client_pb2.CreateLeaseRequest(
            parent=self._parent, lease_id=lease_id or "", lease=lease
        )
        with translate_grpc_exceptions():
            reply = await answer(self.stub.CreateLease(request, timeout=CALL_SECONDS))
        return Lease.from_protobuf(reply)

    async def UpdateLease(  # noqa: N802 - as its RPC
        self,
        *,
        name: str,
        duration: timedelta | None = None,
        begin_time: datetime | None = None,
        client: str | None = None,
    ) -> Lease:
        """Change what is given of a lease, and return it; `client` is who holds it from now on."""
        lease, paths = client_pb2.Lease(name=self._path("leases", name)), list[str]()
        if duration is not None:
            lease.duration.CopyFrom(_duration(duration))
            paths.append("duration")
        if begin_time is not None:
            lease.begin_time.CopyFrom(_timestamp(begin_time))
            paths.append("begin_time")
        if client is not None:
            lease.client = self._path("clients", client)
            paths.append("client")
        request = client_pb2.UpdateLeaseRequest(lease=lease, update_mask=FieldMask(paths=paths))
        with translate_grpc_exceptions():
            reply = await answer(self.stub.UpdateLease(request, timeout=CALL_SECONDS))
        return Lease.from_protobuf(reply)

    async def DeleteLease(self, *, name: str) -> None:  # noqa: N802 - as its RPC
        """End a lease that the caller holds."""
        request = client_pb2.DeleteLeaseRequest(name=self._path("leases", name))
        with translate_grpc_exceptions():
            await answer(self.stub.DeleteLease(request, timeout=CALL_SECONDS))

    async def RotateToken(self) -> str:  # noqa: N802 - as its RPC
        """Return a new token of the caller; those before it are refused from now on."""
        request = client_pb2.RotateTokenRequest(parent=self._parent)
        with translate_grpc_exceptions():
            reply = await answer(self.stub.RotateToken(request, timeout=CALL_SECONDS))
        return reply.token

    @property
    def _parent(self) -> str:
        return f"namespaces/{self.namespace}"

    def _path(self, kind: str, name: str) -> str:
        return path_of(self.namespace, kind, name)


def code_of(error: ConnectionError) -> grpc.StatusCode:
    """Return the status behind an error of a call; UNKNOWN where none is."""
    cause = error.__cause__
    return cause.code() if isinstance(cause, AioRpcError) else grpc.StatusCode.UNKNOWN


def details_of(error: ConnectionError) -> str:
    """Return what the controller, or gRPC, said."""
    cause = error.__cause__
    return (cause.details() or "") if isinstance(cause, AioRpcError) else error.message


def _duration(value: timedelta) -> Duration:
    message = Duration()
    message.FromTimedelta(value)
    return message


def _timestamp(value: datetime) -> Timestamp:
    message = Timestamp()
    # A time without a zone is one of this machine's.
    message.FromDatetime(value.astimezone())
    return message
