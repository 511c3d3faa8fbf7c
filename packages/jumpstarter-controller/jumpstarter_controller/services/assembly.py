"""The services of a controller, put together from what they share."""

from dataclasses import dataclass
from typing import Final

from grpc.aio import Server
from jumpstarter.rpc.health import Health
from jumpstarter_protocol import admin_pb2_grpc, client_pb2_grpc, jumpstarter_pb2_grpc

from jumpstarter_controller import tokens
from jumpstarter_controller.config import Config
from jumpstarter_controller.engine import Engine
from jumpstarter_controller.identities import Identities
from jumpstarter_controller.keys import SigningKey, key_set, trusted_key
from jumpstarter_controller.presence import Presence
from jumpstarter_controller.tokens import Signed, Subject
from jumpstarter_controller.watch import Watch

from .admin_service import AdminService, Whereabouts
from .auth import Auth, InternalAuthenticator
from .calls import Callers
from .client_service import ClientService
from .controller_service import ControllerService
from .dialing import Dialer
from .hook_times import HookTimes
from .lease_ends import LeaseEnds
from .listen import Invitations, LocalInvitations
from .lookup import Directory
from .registry_service import RouterRegistryService
from .routing import Routing

SERVICES: Final = (
    "jumpstarter.v1.ControllerService",
    "jumpstarter.client.v1.ClientService",
    "jumpstarter.admin.v1.AdminService",
    "jumpstarter.admin.v1.RouterRegistryService",
)


@dataclass(slots=True)
class Place:
    """Where the controller is; the endpoint is known once its port is bound."""

    ca: str
    endpoint: str = ""

    def whereabouts(self) -> Whereabouts:
        """Return what callers are told."""
        return Whereabouts(self.endpoint, self.ca)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the services share."""

    config: Config
    engine: Engine
    identities: Identities
    watch: Watch
    routing: Routing
    ends: LeaseEnds
    token_key: SigningKey
    stream_key: SigningKey
    place: Place
    hook_times: HookTimes
    presence: Presence

    def sign(self, subject: Subject) -> Signed:
        """Make an internal token."""
        lifetime = self.config.token_lifetime
        return tokens.sign(self.token_key, subject, self.engine.clock.now(), lifetime)


def register(server: Server, parts: Parts, health: Health) -> None:
    """Let `server` serve everything. Raises ConfigurationError for a trusted key that is none."""
    callers = _callers(parts)
    client = ClientService(
        engine=parts.engine,
        callers=callers,
        sign=parts.sign,
        rules=parts.config.rules,
        hook_times=parts.hook_times,
    )
    admin = AdminService(
        engine=parts.engine,
        callers=callers,
        identities=parts.identities,
        sign=parts.sign,
        whereabouts=parts.place.whereabouts,
        rules=parts.config.rules,
    )
    registry = RouterRegistryService(
        engine=parts.engine,
        callers=callers,
        routing=parts.routing,
        key_set=key_set([parts.stream_key.public]),
    )
    jumpstarter_pb2_grpc.add_ControllerServiceServicer_to_server(
        _controller_service(parts, callers), server
    )
    client_pb2_grpc.add_ClientServiceServicer_to_server(client, server)
    admin_pb2_grpc.add_AdminServiceServicer_to_server(admin, server)
    admin_pb2_grpc.add_RouterRegistryServiceServicer_to_server(registry, server)
    health.add_to(server)


def _callers(parts: Parts) -> Callers:
    keys = [parts.token_key.public, *map(trusted_key, parts.config.trusted_keys)]
    directory = Directory(parts.engine, parts.identities)
    return Callers(Auth([InternalAuthenticator(keys)], directory.find, parts.engine.clock.now))


def _controller_service(parts: Parts, callers: Callers) -> ControllerService:
    invitations: Invitations = LocalInvitations()
    dialer = Dialer(
        engine=parts.engine,
        watch=parts.watch,
        invitations=invitations,
        routing=parts.routing,
        ends=parts.ends,
        key=parts.stream_key,
        patience=parts.config.patience,
    )
    return ControllerService(
        engine=parts.engine,
        callers=callers,
        dialer=dialer,
        invitations=invitations,
        watch=parts.watch,
        hook_times=parts.hook_times,
        presence=parts.presence,
    )
