"""AdminService: administrators make clients, exporters and routers, and their credentials.

An administrator acts in its own namespace only. Tokens are never kept: one that is asked for again
is signed again.
"""

from collections.abc import Callable
from dataclasses import dataclass

from google.protobuf.empty_pb2 import Empty
from jumpstarter_protocol import admin_pb2, admin_pb2_grpc, client_pb2
from typing_extensions import override

from jumpstarter_controller.engine import Engine
from jumpstarter_controller.identities import Identities
from jumpstarter_controller.tokens import Kind, Subject

from .admin_messages import (
    COLLECTIONS,
    KINDS,
    client_message,
    exporter_message,
    parse_policy,
    policy_message,
    router_message,
)
from .auth import Caller
from .calls import Callers, Context, ref_of
from .client_service import Sign, list_leases, told_lease
from .messages import LabelRules, texts
from .resource_names import (
    ADMINS,
    CLIENTS,
    EXPORTERS,
    LEASES,
    POLICIES,
    ROUTERS,
    Collection,
    parse_parent,
    parse_path,
    path_of,
)
from .times import timestamp


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where the controller is reached, and what its callers have to trust there, PEM."""

    endpoint: str
    ca: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminService(admin_pb2_grpc.AdminServiceServicer):
    """Serves administrators."""

    engine: Engine
    callers: Callers
    identities: Identities
    sign: Sign
    whereabouts: Callable[[], Whereabouts]
    rules: LabelRules

    @override
    async def CreateClient(  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        self, request: admin_pb2.CreateClientRequest, context: Context
    ) -> admin_pb2.ClientCredential:
        """Make a client."""
        namespace = await self._parent(request.parent, context)
        client = await self.engine.create_client(
            namespace,
            request.client_id,
            labels=texts(request.labels),
            username=request.username or None,
        )
        subject = Subject(
            kind=Kind.CLIENT,
            namespace=client.namespace,
            name=client.name,
            uid=client.uid,
            generation=client.token_generation,
        )
        return admin_pb2.ClientCredential(
            client=client_message(client), credential=self._credential(subject)
        )

    @override
    async def GetClient(  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        self, request: admin_pb2.GetClientRequest, context: Context
    ) -> admin_pb2.Client:
        """Read one client."""
        namespace, _, name = await self._path(request.name, context, CLIENTS)
        return client_message(await self.engine.get_client(namespace, name))

    @override
    async def ListClients(  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        self, request: admin_pb2.ListClientsRequest, context: Context
    ) -> admin_pb2.ListClientsResponse:
        """List clients."""
        namespace = await self._parent(request.parent, context)
        clients = await self.engine.list_clients(namespace, selector=request.filter)
        return admin_pb2.ListClientsResponse(clients=map(client_message, clients))

    @override
    async def UpdateClient(  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        self, request: admin_pb2.UpdateClientRequest, context: Context
    ) -> admin_pb2.Client:
        """Change a client."""
        namespace, _, name = await self._path(request.name, context, CLIENTS)
        if not request.HasField("labels"):
            return client_message(await self.engine.get_client(namespace, name))
        labels = texts(request.labels.labels)
        return client_message(await self.engine.set_client(namespace, name, labels=labels))

    @override
    async def DeleteClient(  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        self, request: admin_pb2.DeleteClientRequest, context: Context
    ) -> Empty:
        """Remove a client."""
        namespace, _, name = await self._path(request.name, context, CLIENTS)
        await self.engine.delete_client(namespace, name)
        return Empty()

    @override
    async def CreateExporter(  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        self, request: admin_pb2.CreateExporterRequest, context: Context
    ) -> admin_pb2.ExporterCredential:
        """Make an exporter."""
        namespace = await self._parent(request.parent, context)
        exporter = await self.engine.create_exporter(
            namespace,
            request.exporter_id,
            labels=texts(request.labels),
            username=request.username or None,
        )
        subject = Subject(
            kind=Kind.EXPORTER,
            namespace=exporter.namespace,
            name=exporter.name,
            uid=exporter.uid,
            generation=exporter.token_generation,
        )
        return admin_pb2.ExporterCredential(
            exporter=exporter_message(exporter), credential=self._credential(subject)
        )

    @override
    async def GetExporter(  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        self, request: admin_pb2.GetExporterRequest, context: Context
    ) -> admin_pb2.Exporter:
        """Read one exporter."""
        namespace, _, name = await self._path(request.name, context, EXPORTERS)
        return exporter_message(await self.engine.get_exporter(namespace, name))

    @override
    async def ListExporters(  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        self, request: admin_pb2.ListExportersRequest, context: Context
    ) -> admin_pb2.ListExportersResponse:
        """List exporters."""
        namespace = await self._parent(request.parent, context)
        page = await self.engine.list_exporters(namespace, selector=request.filter)
        return admin_pb2.ListExportersResponse(exporters=map(exporter_message, page.items))

    @override
    async def UpdateExporter(  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        self, request: admin_pb2.UpdateExporterRequest, context: Context
    ) -> admin_pb2.Exporter:
        """Change an exporter."""
        namespace, _, name = await self._path(request.name, context, EXPORTERS)
        exporter = await self.engine.set_exporter(
            namespace,
            name,
            labels=texts(request.labels.labels) if request.HasField("labels") else None,
            enabled=request.enabled if request.HasField("enabled") else None,
        )
        return exporter_message(exporter)

    @override
    async def DeleteExporter(  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        self, request: admin_pb2.DeleteExporterRequest, context: Context
    ) -> Empty:
        """Remove an exporter."""
        namespace, _, name = await self._path(request.name, context, EXPORTERS)
        await self.engine.delete_exporter(namespace, name)
        return Empty()

    @override
    async def FetchCredential(  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        self, request: admin_pb2.FetchCredentialRequest, context: Context
    ) -> admin_pb2.Credential:
        """Sign one more token."""
        found = await self._path(request.name, context, CLIENTS, EXPORTERS, ROUTERS)
        return self._credential(await self._subject(*found))

    @override
    async def RotateCredential(  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        self, request: admin_pb2.RotateCredentialRequest, context: Context
    ) -> admin_pb2.Credential:
        """Sign a token in place of all others."""
        found = await self._path(request.name, context, CLIENTS, EXPORTERS, ROUTERS, ADMINS)
        namespace, collection, name = found
        match KINDS[collection]:
            case Kind.CLIENT:
                await self.engine.rotate("Client", namespace, name)
            case Kind.EXPORTER:
                await self.engine.rotate("Exporter", namespace, name)
            case Kind.ADMIN | Kind.ROUTER as kind:
                self.identities.rotate(kind, namespace, name)
        return self._credential(await self._subject(*found))

    @override
    async def PutPolicy(  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        self, request: admin_pb2.PutPolicyRequest, context: Context
    ) -> admin_pb2.Policy:
        """Write a policy."""
        await self._path(request.policy.name, context, POLICIES)
        wanted = parse_policy(request.policy)
        policy = await self.engine.put_policy(
            wanted.namespace,
            wanted.name,
            exporter_selector=wanted.exporter_selector,
            rules=wanted.rules,
        )
        return policy_message(policy)

    @override
    async def ListPolicies(  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        self, request: admin_pb2.ListPoliciesRequest, context: Context
    ) -> admin_pb2.ListPoliciesResponse:
        """List policies."""
        namespace = await self._parent(request.parent, context)
        policies = await self.engine.list_policies(namespace)
        return admin_pb2.ListPoliciesResponse(policies=map(policy_message, policies))

    @override
    async def DeletePolicy(  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        self, request: admin_pb2.DeletePolicyRequest, context: Context
    ) -> Empty:
        """Remove a policy."""
        namespace, _, name = await self._path(request.name, context, POLICIES)
        await self.engine.delete_policy(namespace, name)
        return Empty()

    @override
    async def GetLease(  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        self, request: client_pb2.GetLeaseRequest, context: Context
    ) -> client_pb2.Lease:
        """Read anybody's lease."""
        namespace, _, name = await self._path(request.name, context, LEASES)
        lease = await self.engine.get_lease(namespace, name)
        return told_lease(self.engine, lease, self.rules)

    @override
    async def ListLeases(  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        self, request: client_pb2.ListLeasesRequest, context: Context
    ) -> client_pb2.ListLeasesResponse:
        """List everybody's leases."""
        namespace = await self._parent(request.parent, context)
        return await list_leases(self.engine, namespace, request, self.rules)

    @override
    async def ReleaseLease(  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        self, request: admin_pb2.ReleaseLeaseRequest, context: Context
    ) -> client_pb2.Lease:
        """End anybody's lease."""
        caller = await self.callers.require(context, Kind.ADMIN)
        namespace, _, name = self._own(request.name, context, caller, LEASES)
        lease = await self.engine.release_lease(ref_of(caller), namespace, name, again=True)
        return told_lease(self.engine, lease, self.rules)

    @override
    async def CreateRouter(  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        self, request: admin_pb2.CreateRouterRequest, context: Context
    ) -> admin_pb2.Credential:
        """Admit a router."""
        namespace = await self._parent(request.parent, context)
        member = self.identities.add(Kind.ROUTER, namespace, request.router_id)
        return self._credential(member.subject)

    @override
    async def ListRouters(  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        self, request: admin_pb2.ListRoutersRequest, context: Context
    ) -> admin_pb2.ListRoutersResponse:
        """List routers."""
        namespace = await self._parent(request.parent, context)
        alive = {router.name: router for router in await self.engine.routers()}
        names = {member.name for member in self.identities.listed(Kind.ROUTER, namespace)}
        return admin_pb2.ListRoutersResponse(
            routers=[
                router_message(namespace, name, alive.get(name))
                for name in sorted(names | alive.keys())
            ]
        )

    @override
    async def DeleteRouter(  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        self, request: admin_pb2.DeleteRouterRequest, context: Context
    ) -> Empty:
        """Remove a router."""
        namespace, _, name = await self._path(request.name, context, ROUTERS)
        self.identities.remove(Kind.ROUTER, namespace, name)
        await self.engine.forget_router(name)
        return Empty()

    async def _parent(self, parent: str, context: Context) -> str:
        caller = await self.callers.require(context, Kind.ADMIN)
        namespace = parse_parent(parent)
        self.callers.check_namespace(context, caller, namespace)
        return namespace

    async def _path(
        self, path: str, context: Context, *collections: Collection
    ) -> tuple[str, Collection, str]:
        caller = await self.callers.require(context, Kind.ADMIN)
        return self._own(path, context, caller, *collections)

    def _own(
        self, path: str, context: Context, caller: Caller, *collections: Collection
    ) -> tuple[str, Collection, str]:
        found = parse_path(path, *collections)
        self.callers.check_namespace(context, caller, found[0])
        return found

    async def _subject(self, namespace: str, collection: Collection, name: str) -> Subject:
        kind = KINDS[collection]
        match kind:
            case Kind.ADMIN | Kind.ROUTER:
                return self.identities.get(kind, namespace, name).subject
            case Kind.CLIENT:
                found = await self.engine.get_client(namespace, name)
            case Kind.EXPORTER:
                found = await self.engine.get_exporter(namespace, name)
        return Subject(
            kind=kind,
            namespace=namespace,
            name=name,
            uid=found.uid,
            generation=found.token_generation,
        )

    def _credential(self, subject: Subject) -> admin_pb2.Credential:
        signed = self.sign(subject)
        place = self.whereabouts()
        return admin_pb2.Credential(
            name=path_of(subject.namespace, COLLECTIONS[subject.kind], subject.name),
            token=signed.token,
            expiry=timestamp(signed.expiry),
            endpoint=place.endpoint,
            ca=place.ca,
        )
