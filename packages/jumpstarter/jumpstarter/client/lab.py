"""What a client's configuration can do with its controller: the calls behind its methods.

Each function opens a channel, asks, and closes it; `lease_async` keeps one for as long as the lease
is held.
"""

import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar, overload

import anyio
import grpc
from anyio.from_thread import BlockingPortal
from grpc.aio import Channel

from jumpstarter.config import env
from jumpstarter.config.client_access import ClientAccess
from jumpstarter.config.current_token import CurrentToken
from jumpstarter.model.errors import ConfigurationError
from jumpstarter.model.errors import ConnectionError as LabConnectionError
from jumpstarter.model.lease_progress import Standing
from jumpstarter.model.selectors import extract_match_labels_filter
from jumpstarter.rpc.blocking import is_in_event_loop
from jumpstarter.rpc.channels import aio_secure_channel, ssl_channel_credentials
from jumpstarter.rpc.credentials import identity_credentials
from jumpstarter.rpc.portal import BACKEND, LOOP_OPTIONS, open_portal

from .grpc import ClientService
from .lease import Lease
from .record_lists import ExporterList as ExporterList
from .record_lists import LeaseList
from .records import Exporter
from .records import Lease as LeaseRecord

T = TypeVar("T")


def now_or_later(work: Callable[[], Coroutine[Any, Any, T]]) -> T | Coroutine[Any, Any, T]:
    """Do the work and return its result; inside an event loop return what awaits it."""
    if is_in_event_loop():
        return work()
    return anyio.run(work, backend=BACKEND, backend_options=dict(LOOP_OPTIONS))


async def open_channel(config: ClientAccess) -> Channel:
    """Return a channel to the controller of `config`; the caller closes it.

    Its calls carry the token that the file of `config` holds when they are made. Raises
    ConfigurationError when no controller is configured, ConnectionError when its certificate is to
    be read and it does not answer.
    """
    if not config.endpoint:
        raise ConfigurationError(f"{_told(config)} has no endpoint; set it to the controller's")
    if not config.token:
        raise ConfigurationError(f"{_told(config)} has no token; log in with `jmp login`")
    token = CurrentToken(config.token, config.path)
    metadata = config.metadata
    credentials = grpc.composite_channel_credentials(
        await ssl_channel_credentials(config.endpoint, config.tls),
        identity_credentials(token, "Client", metadata.namespace, metadata.name),
    )
    return aio_secure_channel(config.endpoint, credentials, config.grpcOptions)


@asynccontextmanager
async def open_service(config: ClientAccess) -> AsyncGenerator[ClientService]:
    """Yield the calls to the controller of `config`; raises as `open_channel`."""
    async with await open_channel(config) as channel:
        yield ClientService(channel=channel, namespace=namespace_of(config))


@contextmanager
def lease(
    config: ClientAccess,
    selector: str | None,
    exporter_name: str | None,
    lease_name: str | None,
    duration: timedelta,
) -> Generator[Lease]:
    """Do as `lease_async`, in an event loop of its own."""
    with (
        open_portal() as portal,
        portal.wrap_async_context_manager(
            lease_async(config, selector, exporter_name, lease_name, duration, portal)
        ) as held,
    ):
        yield held


@asynccontextmanager
async def lease_async(  # noqa: PLR0913, PLR0917 - public API
    config: ClientAccess,
    selector: str | None,
    exporter_name: str | None,
    lease_name: str | None,
    duration: timedelta,
    portal: BlockingPortal,
    acquisition_timeout: timedelta | float | None = None,
    retry_timeout: timedelta | float | None = None,
    dial_timeout: timedelta | float | None = None,
    **more: Any,  # noqa: ANN401 - further fields of a lease
) -> AsyncGenerator[Lease]:
    """Hold a lease inside the context: one by name, which stays, else a new one.

    The name may also come from JMP_LEASE. Timeouts that are not given are those of `config`.
    """
    name = lease_name or env.text(os.environ, env.JMP_LEASE)
    async with await open_channel(config) as channel:
        wanted = Lease(
            channel=channel,
            duration=duration,
            selector=selector,
            portal=portal,
            namespace=namespace_of(config),
            allow=config.drivers.allow,
            unsafe=config.drivers.unsafe,
            requested_exporter_name=exporter_name,
            name=name or "",
            release=name is None,
            tls_config=config.tls,
            grpc_options=config.grpcOptions,
            client_name=config.metadata.name or None,
            acquisition_timeout=_seconds(acquisition_timeout) or config.leases.acquisition_timeout,
            dial_timeout=config.leases.dial_seconds(_seconds(dial_timeout)),
            retry_timeout=config.leases.retry_seconds(_seconds(retry_timeout)),
            **more,
        )
        async with wanted as held:
            yield held


async def get_exporter(config: ClientAccess, name: str, *, show_hidden_labels: bool) -> Exporter:
    """Return one exporter."""
    async with open_service(config) as service:
        return await service.GetExporter(name=name, show_hidden_labels=show_hidden_labels)


async def list_exporters(
    config: ClientAccess,
    options: ExporterList,
    *,
    filter: str | None,  # noqa: A002 - public API
    page_size: int,
    show_hidden_labels: bool,
) -> ExporterList:
    """Return all exporters that the selector `filter` admits, with what `options` includes."""
    async with open_service(config) as service:

        async def page(token: str) -> ExporterList:
            return await service.ListExporters(
                page_size=page_size,
                page_token=token,
                filter=filter,
                show_hidden_labels=show_hidden_labels,
            )

        found = [item for part in await _pages(page) for item in part.exporters]
        if not options.include_disabled:
            found = [exporter for exporter in found if exporter.enabled]
        if options.include_leases:
            leases = await _list_leases(service, None, page_size)
            found = _with_leases(found, leases.leases)
        return options.model_copy(update={"exporters": found})


async def list_leases(
    config: ClientAccess,
    *,
    filter: str | None,  # noqa: A002 - public API
    only_active: bool,
    page_size: int,
    tag_filter: str | None,
) -> LeaseList:
    """Return all leases of the namespace that the selectors `filter` and `tag_filter` admit."""
    async with open_service(config) as service:
        return await _list_leases(
            service, filter, page_size, only_active=only_active, tag_filter=tag_filter
        )


async def create_lease(  # noqa: PLR0913 - what a lease may have
    config: ClientAccess,
    duration: timedelta,
    *,
    selector: str | None,
    exporter_name: str | None,
    begin_time: datetime | None,
    lease_id: str | None,
    tags: Mapping[str, str] | None,
    allow_disabled: bool,
    context: Mapping[str, str] | None,
) -> LeaseRecord:
    """Ask for a lease and return it."""
    async with open_service(config) as service:
        return await service.CreateLease(
            selector=selector,
            duration=duration,
            exporter_name=exporter_name,
            begin_time=begin_time,
            lease_id=lease_id,
            tags=tags,
            allow_disabled=allow_disabled,
            context=context,
        )


async def update_lease(
    config: ClientAccess,
    name: str,
    *,
    duration: timedelta | None,
    begin_time: datetime | None,
    client: str | None,
) -> LeaseRecord:
    """Change a lease and return it."""
    async with open_service(config) as service:
        return await service.UpdateLease(
            name=name, duration=duration, begin_time=begin_time, client=client
        )


async def delete_lease(config: ClientAccess, name: str) -> None:
    """End a lease."""
    async with open_service(config) as service:
        await service.DeleteLease(name=name)


async def rotate_token(config: ClientAccess) -> str:
    """Return a new token, which `config` has from then on; the caller saves it."""
    async with open_service(config) as service:
        config.token = await service.RotateToken()
    return config.token


def namespace_of(config: ClientAccess) -> str:
    """Return the namespace; raises ConfigurationError where none is configured."""
    if not config.metadata.namespace:
        raise ConfigurationError(f"{_told(config)} has no metadata.namespace; set it")
    return config.metadata.namespace


async def _list_leases(
    service: ClientService,
    filter: str | None,  # noqa: A002 - public API
    page_size: int,
    *,
    only_active: bool = True,
    tag_filter: str | None = None,
) -> LeaseList:
    labels = extract_match_labels_filter(filter)

    async def page(token: str) -> LeaseList:
        return await service.ListLeases(
            page_size=page_size,
            page_token=token,
            filter=labels,
            only_active=only_active,
            tag_filter=tag_filter,
        )

    found = [lease for part in await _pages(page) for lease in part.leases]
    return LeaseList(leases=found).filter_by_selector(filter)


class _Page(Protocol):
    @property
    def next_page_token(self) -> str | None: ...


P = TypeVar("P", bound=_Page)


async def _pages(fetch: Callable[[str], Awaitable[P]]) -> list[P]:
    """Return all pages; raises ConnectionError when the controller goes round in circles."""
    pages, seen = [await fetch("")], {""}
    while token := pages[-1].next_page_token:
        if token in seen:
            raise LabConnectionError("the controller repeats a page of its list")
        seen.add(token)
        pages.append(await fetch(token))
    return pages


def _with_leases(exporters: list[Exporter], leases: list[LeaseRecord]) -> list[Exporter]:
    held = {item.exporter: item for item in leases if item.verdict.standing is Standing.GRANTED}
    return [item.model_copy(update={"lease": held.get(item.name)}) for item in exporters]


@overload
def _seconds(value: None) -> None: ...
@overload
def _seconds(value: timedelta | float) -> float: ...
def _seconds(value: timedelta | float | None) -> float | None:
    return value.total_seconds() if isinstance(value, timedelta) else value


def _told(config: ClientAccess) -> str:
    return f"client '{config.alias}'" if config.path is None else f"{config.path}: the client"
