"""What an administrator asks of its controller, as calls with plain arguments and checked answers.

Every call raises ConnectionError when the controller cannot be reached, or refuses; the text is the
line to show, `Error from server (NotFound): ...` for a refusal.
"""

from collections.abc import AsyncGenerator, Awaitable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Literal, TypeVar

import grpc
from grpc.aio import AioRpcError, Channel
from jumpstarter_protocol import admin_pb2, admin_pb2_grpc, client_pb2
from jumpstarter_protocol.aio import AdminServiceAsyncStub

from jumpstarter.config.admin import AdminConfig
from jumpstarter.config.client import ClientConfigV1Alpha1
from jumpstarter.config.client_sections import ClientConfigV1Alpha1Drivers
from jumpstarter.config.current_token import CurrentToken
from jumpstarter.config.exporter import ExporterConfigV1Alpha1
from jumpstarter.config.metadata import ObjectMeta
from jumpstarter.model.errors import ConnectionError  # noqa: A004 - its public name
from jumpstarter.rpc.channels import aio_secure_channel, ssl_channel_credentials
from jumpstarter.rpc.credentials import identity_credentials
from jumpstarter.rpc.unary import answer

from .administered import (
    ClientRecord,
    Credential,
    ExporterRecord,
    Policy,
    PolicyRule,
    RouterRecord,
)
from .record_lists import LeaseList
from .records import Lease, path_of

T = TypeVar("T")

Kind = Literal["clients", "exporters", "routers"]
"""Whoever has a token, as its path names it."""

CALL_SECONDS: Final = 60.0
"""Seconds in which a controller must have answered; it waits for nobody to do so."""

ACTUAL_STATUS: Final = "jumpstarter-status"
"""Key of the trailing metadata that only a controller adds: what it really was that it refused."""

_REASONS: Final = {
    "NOT_FOUND": "NotFound",
    "ALREADY_EXISTS": "AlreadyExists",
    "PERMISSION_DENIED": "Forbidden",
    "UNAUTHENTICATED": "Unauthorized",
    "INVALID_ARGUMENT": "Invalid",
    "FAILED_PRECONDITION": "Conflict",
    "UNIMPLEMENTED": "MethodNotAllowed",
    "UNAVAILABLE": "ServiceUnavailable",
    "INTERNAL": "InternalError",
}


@asynccontextmanager
async def connected(config: AdminConfig) -> AsyncGenerator["Administration"]:
    """Yield the calls to the controller of `config`; the first of them connects.

    They carry the token that the file of `config` holds when they are made. Raises as
    `ssl_channel_credentials`.
    """
    token = CurrentToken(config.token, config.path)
    credentials = grpc.composite_channel_credentials(
        await ssl_channel_credentials(config.endpoint, config.tls),
        identity_credentials(token, "Admin", config.namespace, config.metadata.name),
    )
    async with aio_secure_channel(config.endpoint, credentials, config.grpcOptions) as channel:
        yield Administration(channel=channel, config=config)


@dataclass(frozen=True, kw_only=True)
class Administration:
    """Calls about the lab of `config`, over `channel`."""

    channel: Channel
    config: AdminConfig
    stub: AdminServiceAsyncStub = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Make the stub."""
        object.__setattr__(self, "stub", admin_pb2_grpc.AdminServiceStub(self.channel))

    @property
    def namespace(self) -> str:
        """The namespace that everything here is in."""
        return self.config.namespace

    async def create_client(
        self, name: str, labels: Mapping[str, str] | None = None, username: str | None = None
    ) -> ClientConfigV1Alpha1:
        """Make a client, and return the configuration with which it calls."""
        request = admin_pb2.CreateClientRequest(
            parent=self._parent, client_id=name, labels=labels or {}, username=username
        )
        reply = await self._ask(self.stub.CreateClient(request, timeout=CALL_SECONDS))
        return client_config(Credential.from_protobuf("clients", reply.credential))

    async def get_client(self, name: str) -> ClientRecord:
        """Return one client."""
        request = admin_pb2.GetClientRequest(name=self._path("clients", name))
        reply = await self._ask(self.stub.GetClient(request, timeout=CALL_SECONDS))
        return ClientRecord.from_protobuf(reply)

    async def list_clients(self, selector: str = "") -> list[ClientRecord]:
        """Return the clients whose labels `selector` admits, by name."""
        request = admin_pb2.ListClientsRequest(parent=self._parent, filter=selector)
        reply = await self._ask(self.stub.ListClients(request, timeout=CALL_SECONDS))
        return [ClientRecord.from_protobuf(item) for item in reply.clients]

    async def update_client(self, name: str, labels: Mapping[str, str]) -> ClientRecord:
        """Put `labels` in the place of those that the client has, and return it."""
        request = admin_pb2.UpdateClientRequest(
            name=self._path("clients", name), labels=admin_pb2.Labels(labels=labels)
        )
        reply = await self._ask(self.stub.UpdateClient(request, timeout=CALL_SECONDS))
        return ClientRecord.from_protobuf(reply)

    async def delete_client(self, name: str) -> None:
        """Remove a client; its tokens are refused from then on."""
        request = admin_pb2.DeleteClientRequest(name=self._path("clients", name))
        await self._ask(self.stub.DeleteClient(request, timeout=CALL_SECONDS))

    async def create_exporter(
        self, name: str, labels: Mapping[str, str] | None = None, username: str | None = None
    ) -> ExporterConfigV1Alpha1:
        """Make an exporter, and return the configuration with which it registers."""
        request = admin_pb2.CreateExporterRequest(
            parent=self._parent, exporter_id=name, labels=labels or {}, username=username
        )
        reply = await self._ask(self.stub.CreateExporter(request, timeout=CALL_SECONDS))
        return exporter_config(Credential.from_protobuf("exporters", reply.credential))

    async def get_exporter(self, name: str) -> ExporterRecord:
        """Return one exporter."""
        request = admin_pb2.GetExporterRequest(name=self._path("exporters", name))
        reply = await self._ask(self.stub.GetExporter(request, timeout=CALL_SECONDS))
        return ExporterRecord.from_protobuf(reply)

    async def list_exporters(self, selector: str = "") -> list[ExporterRecord]:
        """Return the exporters whose labels `selector` admits, by name."""
        request = admin_pb2.ListExportersRequest(parent=self._parent, filter=selector)
        reply = await self._ask(self.stub.ListExporters(request, timeout=CALL_SECONDS))
        return [ExporterRecord.from_protobuf(item) for item in reply.exporters]

    async def update_exporter(
        self, name: str, labels: Mapping[str, str] | None = None, *, enabled: bool | None = None
    ) -> ExporterRecord:
        """Change what is given of an exporter, and return it; `labels` replace those it has."""
        request = admin_pb2.UpdateExporterRequest(
            name=self._path("exporters", name), enabled=enabled
        )
        if labels is not None:
            request.labels.CopyFrom(admin_pb2.Labels(labels=labels))
        reply = await self._ask(self.stub.UpdateExporter(request, timeout=CALL_SECONDS))
        return ExporterRecord.from_protobuf(reply)

    async def delete_exporter(self, name: str) -> None:
        """Remove an exporter and its leases; its tokens are refused from then on."""
        request = admin_pb2.DeleteExporterRequest(name=self._path("exporters", name))
        await self._ask(self.stub.DeleteExporter(request, timeout=CALL_SECONDS))

    async def fetch_credential(self, kind: Kind, name: str) -> Credential:
        """Return one more token of a client, exporter or router; those that it has stay good."""
        request = admin_pb2.FetchCredentialRequest(name=self._path(kind, name))
        reply = await self._ask(self.stub.FetchCredential(request, timeout=CALL_SECONDS))
        return Credential.from_protobuf(kind, reply)

    async def rotate(self, kind: Kind | Literal["admins"], name: str) -> Credential:
        """Return a new token; all that there were before are refused from now on."""
        request = admin_pb2.RotateCredentialRequest(name=self._path(kind, name))
        reply = await self._ask(self.stub.RotateCredential(request, timeout=CALL_SECONDS))
        return Credential.from_protobuf(kind, reply)

    async def put_policy(
        self, name: str, exporter_selector: str, rules: list[PolicyRule]
    ) -> Policy:
        """Write an access policy, in place of the one of that name."""
        policy = Policy(
            namespace=self.namespace, name=name, exporter_selector=exporter_selector, rules=rules
        )
        request = admin_pb2.PutPolicyRequest(policy=policy.to_protobuf())
        reply = await self._ask(self.stub.PutPolicy(request, timeout=CALL_SECONDS))
        return Policy.from_protobuf(reply)

    async def list_policies(self) -> list[Policy]:
        """Return the access policies, by name."""
        request = admin_pb2.ListPoliciesRequest(parent=self._parent)
        reply = await self._ask(self.stub.ListPolicies(request, timeout=CALL_SECONDS))
        return [Policy.from_protobuf(item) for item in reply.policies]

    async def delete_policy(self, name: str) -> None:
        """Remove an access policy."""
        request = admin_pb2.DeletePolicyRequest(name=self._path("policies", name))
        await self._ask(self.stub.DeletePolicy(request, timeout=CALL_SECONDS))

    async def get_lease(self, name: str) -> Lease:
        """Return one lease, whoever holds it."""
        request = client_pb2.GetLeaseRequest(name=self._path("leases", name))
        reply = await self._ask(self.stub.GetLease(request, timeout=CALL_SECONDS))
        return Lease.from_protobuf(reply)

    async def list_leases(self, selector: str = "", *, only_active: bool = True) -> list[Lease]:
        """Return everybody's leases whose labels `selector` admits, by name."""
        found, token = list[Lease](), ""
        while True:
            request = client_pb2.ListLeasesRequest(
                parent=self._parent, filter=selector, only_active=only_active, page_token=token
            )
            reply = await self._ask(self.stub.ListLeases(request, timeout=CALL_SECONDS))
            found += LeaseList.from_protobuf(reply).leases
            token = reply.next_page_token
            if not token:
                return found

    async def release_lease(self, name: str) -> Lease:
        """End anybody's lease, and return it; ending it again succeeds."""
        request = admin_pb2.ReleaseLeaseRequest(name=self._path("leases", name))
        reply = await self._ask(self.stub.ReleaseLease(request, timeout=CALL_SECONDS))
        return Lease.from_protobuf(reply)

    async def create_router(self, name: str) -> Credential:
        """Admit a router, and return the credential with which it registers."""
        request = admin_pb2.CreateRouterRequest(parent=self._parent, router_id=name)
        reply = await self._ask(self.stub.CreateRouter(request, timeout=CALL_SECONDS))
        return Credential.from_protobuf("routers", reply)

    async def list_routers(self) -> list[RouterRecord]:
        """Return the routers that were admitted, by name."""
        request = admin_pb2.ListRoutersRequest(parent=self._parent)
        reply = await self._ask(self.stub.ListRouters(request, timeout=CALL_SECONDS))
        return [RouterRecord.from_protobuf(item) for item in reply.routers]

    async def delete_router(self, name: str) -> None:
        """Remove a router; its tokens are refused from then on."""
        request = admin_pb2.DeleteRouterRequest(name=self._path("routers", name))
        await self._ask(self.stub.DeleteRouter(request, timeout=CALL_SECONDS))

    @property
    def _parent(self) -> str:
        return f"namespaces/{self.namespace}"

    def _path(self, kind: str, name: str) -> str:
        return path_of(self.namespace, kind, name)

    async def _ask(self, call: Awaitable[T]) -> T:
        try:
            return await answer(call)
        except AioRpcError as error:
            raise ConnectionError(_told(error, self.config.endpoint)) from error


def client_config(credential: Credential) -> ClientConfigV1Alpha1:
    """Return a client's configuration; which drivers it may load is for others to say."""
    # What is not given would be taken from the environment, which is the administrator's.
    return ClientConfigV1Alpha1(
        alias=credential.name,
        metadata=ObjectMeta(namespace=credential.namespace, name=credential.name),
        endpoint=credential.endpoint,
        tls=credential.tls,
        token=credential.token,
        refresh_token=None,
        drivers=ClientConfigV1Alpha1Drivers(allow=[], unsafe=False),
    )


def exporter_config(credential: Credential) -> ExporterConfigV1Alpha1:
    """Return an exporter's configuration, without drivers."""
    return ExporterConfigV1Alpha1(
        alias=credential.name,
        metadata=ObjectMeta(namespace=credential.namespace, name=credential.name),
        endpoint=credential.endpoint,
        tls=credential.tls,
        token=credential.token,
    )


def _told(error: AioRpcError, endpoint: str) -> str:
    code, details = error.code(), error.details() or error.code().name
    actual = _actual_status(error)
    if code is grpc.StatusCode.UNAVAILABLE and actual is None:
        return f"cannot reach the controller at {endpoint}: {details}; is it running?"
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return f"the controller at {endpoint} did not answer in {CALL_SECONDS:g} seconds"
    status = actual or code.name
    return f"Error from server ({_REASONS.get(status, status)}): {details}"


def _actual_status(error: AioRpcError) -> str | None:
    """Return the status that the controller meant; None where gRPC itself made the error."""
    entries = error.trailing_metadata() or ()
    return next((str(value) for key, value in entries if key == ACTUAL_STATUS), None)
