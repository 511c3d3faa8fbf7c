"""What a call to the controller carries: the caller's token, kind, namespace and name.

The token is asked for at every call, so that one that was renewed while a channel is open is used
from then on. It goes over TLS only: gRPC itself refuses call credentials on a plain connection.
"""

from collections.abc import Callable
from typing import TypeAlias

import grpc
from typing_extensions import override

Token: TypeAlias = Callable[[], str]
"""Returns the token to use now; may be called in any thread, and must not take long."""


class _Identity(grpc.AuthMetadataPlugin):
    def __init__(self, token: Token, entries: tuple[tuple[str, str], ...]) -> None:
        self._token = token
        self._entries = entries

    @override
    def __call__(
        self, context: grpc.AuthMetadataContext, callback: grpc.AuthMetadataPluginCallback
    ) -> None:
        callback((("authorization", f"Bearer {self._token()}"), *self._entries), None)


def identity_credentials(
    token: Token, kind: str, namespace: str | None, name: str
) -> grpc.CallCredentials:
    """Return what tells a controller who calls; `kind` is `Client` or `Exporter`."""
    entries = (
        ("jumpstarter-kind", kind),
        ("jumpstarter-namespace", namespace or ""),
        ("jumpstarter-name", name),
    )
    return grpc.metadata_call_credentials(_Identity(token, entries))
