"""The exporter of a shell: which one the environment names, and the client for it.

`jmp shell` sets the variables; `j`, tests and scripts inside it read them here.
"""

import os
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from anyio.from_thread import BlockingPortal

from jumpstarter.client.base import DriverClient
from jumpstarter.client.client import client_from_path
from jumpstarter.config import env as names
from jumpstarter.model.errors import ConfigurationError, EnvironmentVariableNotSetError
from jumpstarter.rpc.channels import insecure_by_environment
from jumpstarter.rpc.portal import open_portal


@dataclass(frozen=True, slots=True)
class ExporterMetadata:
    """What a shell knows of its exporter."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    lease: str | None = None


@dataclass(frozen=True, slots=True)
class Trust:
    """Which client classes that an exporter names may be imported."""

    allow: tuple[str, ...]
    unsafe: bool


def trust_from_environment(environ: Mapping[str, str]) -> Trust | None:
    """Return what the variables say, or None when they say nothing.

    Raises ConfigurationError for a JMP_DRIVERS_UNSAFE that is neither true nor false.
    """
    allow = names.text(environ, names.JMP_DRIVERS_ALLOW)
    try:
        unsafe = names.flag(environ, names.JMP_DRIVERS_UNSAFE)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    if allow is None and unsafe is None:
        return None
    patterns = tuple(word for word in names.words(allow or "") if word)
    return Trust(patterns, bool(unsafe) or names.UNSAFE in patterns)


def metadata_from_environment(environ: Mapping[str, str]) -> ExporterMetadata:
    """Return the exporter's name, labels and lease; labels stand as `k=v,k=v`."""
    items = names.words(environ.get(names.JMP_EXPORTER_LABELS, ""))
    pairs = (item.partition("=") for item in items)
    return ExporterMetadata(
        name=environ.get(names.JMP_EXPORTER, ""),
        labels={key: value for key, equals, value in pairs if equals},
        lease=names.text(environ, names.JMP_LEASE),
    )


@asynccontextmanager
async def env_async(portal: BlockingPortal, stack: ExitStack) -> AsyncGenerator[DriverClient]:
    """Yield the root client of the exporter that JUMPSTARTER_HOST names.

    Raises EnvironmentVariableNotSetError outside a shell, ExporterUnreachableError when nobody
    answers there, ConnectionError when it refuses.
    """
    host = names.text(os.environ, names.JUMPSTARTER_HOST)
    if host is None:
        message = f"{names.JUMPSTARTER_HOST} not set"
        raise EnvironmentVariableNotSetError(message)
    trust = trust_from_environment(os.environ) or _configured_trust()
    async with client_from_path(
        host,
        portal,
        stack,
        trust.allow,
        trust.unsafe,
        insecure=insecure_by_environment(os.environ),
        passphrase=names.text(os.environ, names.JMP_GRPC_PASSPHRASE),
    ) as client:
        yield client


@contextmanager
def env() -> Generator[DriverClient]:
    """Yield the root client of the exporter that JUMPSTARTER_HOST names; raises as `env_async`."""
    with (
        open_portal() as portal,
        ExitStack() as stack,
        portal.wrap_async_context_manager(env_async(portal, stack)) as client,
    ):
        yield client


@asynccontextmanager
async def env_with_metadata_async(
    portal: BlockingPortal, stack: ExitStack
) -> AsyncGenerator[tuple[DriverClient, ExporterMetadata]]:
    """Yield what `env_async` does, and what the shell knows of the exporter."""
    async with env_async(portal, stack) as client:
        yield client, metadata_from_environment(os.environ)


@contextmanager
def env_with_metadata() -> Generator[tuple[DriverClient, ExporterMetadata]]:
    """Yield what `env` does, and what the shell knows of the exporter."""
    with env() as client:
        yield client, metadata_from_environment(os.environ)


def _configured_trust() -> Trust:
    """Return what the current client's configuration says; nothing is trusted without one."""
    from jumpstarter.config.user import UserConfigV1Alpha1  # noqa: PLC0415 - a quarter of a `j`'s start, and shells never need it

    if not UserConfigV1Alpha1.exists():
        return Trust((), unsafe=False)
    current = UserConfigV1Alpha1.load().config.current_client
    if current is None:
        return Trust((), unsafe=False)
    return Trust(tuple(current.drivers.allow), current.drivers.unsafe)
