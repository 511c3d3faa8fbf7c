"""Where a caller is looked up: clients and exporters in the lab, the others in their file."""

from dataclasses import dataclass

from jumpstarter_controller.engine import Engine
from jumpstarter_controller.errors import NotFound
from jumpstarter_controller.identities import Identities
from jumpstarter_controller.tokens import Kind

from .auth import Known


@dataclass(frozen=True, slots=True)
class Directory:
    """Everybody who may call."""

    engine: Engine
    identities: Identities

    async def find(self, kind: Kind, namespace: str, name: str) -> Known | None:
        """Return who has this name, if anybody has."""
        match kind:
            case Kind.ADMIN | Kind.ROUTER:
                member = self.identities.find(kind, namespace, name)
                return None if member is None else Known(member.uid, member.generation)
            case Kind.CLIENT | Kind.EXPORTER:
                word = "Client" if kind is Kind.CLIENT else "Exporter"
                try:
                    found = await self.engine.find(word, namespace, name)
                except NotFound:
                    return None
                return Known(found.uid, found.token_generation, found.username)
