"""What every call begins with: who makes it, and in which namespace it may."""

from dataclasses import dataclass
from typing import Any

from grpc.aio import ServicerContext

from jumpstarter_controller.objects import Ref
from jumpstarter_controller.tokens import Kind

from .auth import Auth, Caller, Metadata, check_namespace, log_refusal
from .statuses import Refusal

Context = ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class Callers:
    """Finds out who makes a call."""

    auth: Auth

    async def require(self, context: Context, *kinds: Kind) -> Caller:
        """Return who calls, which is of one of `kinds`. Raises Refusal."""
        return await self.auth.require(metadata_of(context), context.peer(), *kinds)

    def check_namespace(self, context: Context, caller: Caller, namespace: str) -> None:
        """Refuse a request about another namespace than the caller's. Raises Refusal."""
        try:
            check_namespace(caller, namespace)
        except Refusal as refusal:
            log_refusal(caller.kind, context.peer(), refusal)
            raise


def metadata_of(context: Context) -> Metadata:
    """Return the metadata of a call, without binary values."""
    pairs = context.invocation_metadata() or ()
    return [(key, value) for key, value in pairs if isinstance(value, str)]


def ref_of(caller: Caller) -> Ref:
    """Return the caller as the engine knows it. A router gives no orders to the engine."""
    match caller.kind:
        case Kind.CLIENT:
            return Ref(kind="Client", namespace=caller.namespace, name=caller.name, uid=caller.uid)
        case Kind.EXPORTER:
            return Ref(
                kind="Exporter", namespace=caller.namespace, name=caller.name, uid=caller.uid
            )
        case Kind.ADMIN | Kind.ROUTER:
            return Ref(kind="Admin", namespace=caller.namespace, name=caller.name, uid=caller.uid)
