"""Who calls: what the invocation metadata claims, checked in one fixed order.

The order decides which error a caller with several faults is told, and released programs have been
written against it: authorization, token, kind and namespace, name, kind of the call, existence,
identity. A refusal is logged once, with the caller's address and never with the token.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from jumpstarter.logging import set_log_context

from jumpstarter_controller import tokens
from jumpstarter_controller.keys import PublicKey
from jumpstarter_controller.tokens import PREFIX, Kind, Subject, TokenError

from .statuses import Code, Refusal
from .usernames import UnfitNameError, name_of

logger = logging.getLogger(__name__)

AUTHORIZATION: Final = "authorization"
KIND: Final = "jumpstarter-kind"
NAMESPACE: Final = "jumpstarter-namespace"
NAME: Final = "jumpstarter-name"

_REVOKED: Final = "the token was revoked; a newer one was made in its place"

Metadata = Sequence[tuple[str, str]]
"""The invocation metadata, without binary values."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a token was made for; `generation` is None for one of an external identity provider."""

    username: str
    generation: int | None


class Authenticator(Protocol):
    """Verifies the tokens of one issuer."""

    @property
    def issuer(self) -> str:
        """The claim `iss` of its tokens."""
        ...

    async def identify(self, token: str, now: datetime, /) -> Identity:
        """Return whose token it is. Raises TokenError when it is not good."""
        ...


class InternalAuthenticator:
    """Verifies the tokens that this controller signed, or another one whose key is trusted."""

    def __init__(self, keys: Sequence[PublicKey]) -> None:
        """Accept what any of `keys` signed."""
        self._reader = tokens.Reader(keys)

    @property
    def issuer(self) -> str:
        """The issuer of internal tokens."""
        return tokens.ISSUER

    async def identify(self, token: str, now: datetime) -> Identity:
        """Return whose token it is. Raises TokenError when it is not good."""
        claims = self._reader.read(token, now)
        return Identity(PREFIX + claims.subject, claims.generation)


@dataclass(frozen=True, slots=True)
class Known:
    """An object that can call: its uid, the oldest valid generation, and its external user."""

    uid: str
    generation: int
    username: str | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, proved; `generation` is that of its token, None for one from elsewhere."""

    kind: Kind
    namespace: str
    name: str
    uid: str
    generation: int | None

    def subject(self, generation: int) -> Subject:
        """Return who a token of this caller is for."""
        return Subject(
            kind=self.kind,
            namespace=self.namespace,
            name=self.name,
            uid=self.uid,
            generation=generation,
        )


Lookup = Callable[[Kind, str, str], Awaitable[Known | None]]
"""Finds what may call, by kind, namespace and name."""


@dataclass(frozen=True, slots=True)
class Auth:
    """Decides who calls; `authenticators` are asked in their order, the first issuer decides."""

    authenticators: Sequence[Authenticator]
    lookup: Lookup
    clock: Callable[[], datetime]

    async def require(self, metadata: Metadata, peer: str, *kinds: Kind) -> Caller:
        """Return who calls, which is of one of `kinds`; the refusal of another is logged.

        Raises Refusal.
        """
        try:
            return await self.check(metadata, kinds)
        except Refusal as refusal:
            log_refusal(self._logged_kind(metadata, kinds), peer, refusal)
            raise

    async def check(self, metadata: Metadata, kinds: Sequence[Kind]) -> Caller:
        """Return who calls. Raises Refusal."""
        identity = await self.identify(bearer_token(metadata))
        kind, namespace = claimed(metadata)
        try:
            name = name_of(identity.username, _single(metadata, NAME, default=""))
        except UnfitNameError as error:
            raise Refusal(Code.INVALID_ARGUMENT, str(error)) from None
        if kind not in kinds:
            raise Refusal(Code.INVALID_ARGUMENT, "object kind mismatch")
        wanted = Kind(kind)
        known = await self.lookup(wanted, namespace, name)
        if known is None:
            raise _not_found(wanted, namespace, name)
        caller = Caller(wanted, namespace, name, known.uid, identity.generation)
        check_identity(identity, caller, known)
        return caller

    async def recheck(self, caller: Caller) -> None:
        """Refuse a caller that was deleted, or whose token was revoked, since it called."""
        known = await self.lookup(caller.kind, caller.namespace, caller.name)
        if known is None or known.uid != caller.uid:
            raise _not_found(caller.kind, caller.namespace, caller.name)
        _check_generation(caller.generation, known)

    async def identify(self, token: str) -> Identity:
        """Return whose token it is. Raises Refusal."""
        try:
            authenticator = self._authenticator(tokens.issuer_of(token))
            return _checked(await authenticator.identify(token, self.clock()))
        except TokenError as error:
            raise Refusal(Code.UNKNOWN, str(error), Code.UNAUTHENTICATED) from None

    def _authenticator(self, issuer: str) -> Authenticator:
        for authenticator in self.authenticators:
            if authenticator.issuer == issuer:
                return authenticator
        raise TokenError("no authenticator accepts the token's issuer")

    @staticmethod
    def _logged_kind(metadata: Metadata, kinds: Sequence[Kind]) -> Kind:
        """Return the kind that the log names: of several that may call, the one that is claimed."""
        values = [value for key, value in metadata if key == KIND]
        return next((kind for kind in kinds if kind in values), kinds[0])


def bearer_token(metadata: Metadata) -> str:
    """Return the token of the one authorization there must be. Raises Refusal."""
    if not metadata:
        raise Refusal(Code.INVALID_ARGUMENT, "the call has no metadata")
    values = [value for key, value in metadata if key == AUTHORIZATION]
    if not values:
        raise Refusal(Code.UNAUTHENTICATED, "the call has no authorization")
    if len(values) > 1:
        raise Refusal(Code.INVALID_ARGUMENT, "the call has more than one authorization")
    scheme, space, token = values[0].partition(" ")
    if scheme.lower() != "bearer" or not space or not token.strip():
        raise Refusal(Code.INVALID_ARGUMENT, "the authorization is not a bearer token")
    return token.strip()


def claimed(metadata: Metadata) -> tuple[str, str]:
    """Return the kind and the namespace that the caller claims. Raises Refusal."""
    namespace = _single(metadata, NAMESPACE)
    return _single(metadata, KIND), namespace


def check_identity(identity: Identity, caller: Caller, known: Known) -> None:
    """Refuse a token that is not for this object, or of an older generation."""
    usernames = {PREFIX + caller.subject(known.generation).text, known.username}
    if identity.username not in usernames:
        raise Refusal(
            Code.PERMISSION_DENIED,
            f"permission denied for {caller.kind.lower()} {caller.namespace}/{caller.name}",
        )
    _check_generation(identity.generation, known)


def check_namespace(caller: Caller, namespace: str) -> None:
    """Refuse a request about another namespace than the caller's."""
    if namespace != caller.namespace:
        raise Refusal(Code.PERMISSION_DENIED, "namespace mismatch")


def log_refusal(kind: Kind, peer: str, refusal: Refusal) -> None:
    """Write the one line about a caller who was refused."""
    set_log_context(peer=remote_ip(peer), error=refusal.details)
    logger.warning("%s authentication failed", kind.lower())


def remote_ip(peer: str) -> str:
    """Return the address in gRPC's name of a peer, such as `ipv6:%5B::1%5D:5` or `unix:`."""
    family, _, rest = peer.partition(":")
    match family:
        case "ipv4":
            return rest.rpartition(":")[0]
        case "ipv6":
            address = rest.rpartition(":")[0]
            for bracket in ("%5B", "%5D", "%5b", "%5d", "[", "]"):
                address = address.replace(bracket, "")
            return address.partition("%25")[0]
        case _:
            return family


def _checked(identity: Identity) -> Identity:
    """Return `identity`, unless somebody else says that it is one of ours."""
    if identity.generation is None and identity.username.startswith(PREFIX):
        raise TokenError("the token's user has a name that only this controller gives")
    return identity


def _check_generation(generation: int | None, known: Known) -> None:
    if generation is not None and generation < known.generation:
        raise Refusal(Code.UNKNOWN, _REVOKED, Code.UNAUTHENTICATED)


def _not_found(kind: Kind, namespace: str, name: str) -> Refusal:
    text = f"{kind.lower()} {namespace}/{name} not found"
    return Refusal(Code.UNKNOWN, text, Code.UNAUTHENTICATED)


def _single(metadata: Metadata, key: str, default: str | None = None) -> str:
    values = [value for found, value in metadata if found == key]
    if len(values) > 1:
        raise Refusal(Code.INVALID_ARGUMENT, f"the metadata {key} is there more than once")
    if values and (values[0] or default is not None):
        return values[0]
    if default is None:
        raise Refusal(Code.INVALID_ARGUMENT, f"the metadata {key} is missing")
    return default
