"""Connecting to an exporter: from an address or a channel to the client of its driver tree."""

import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import grpc
from anyio.from_thread import BlockingPortal
from google.protobuf import empty_pb2
from grpc.aio import AioRpcError, Channel
from jumpstarter_protocol import jumpstarter_pb2

from jumpstarter.model import errors
from jumpstarter.rpc.blocking import Target, connect_blocking
from jumpstarter.rpc.call_socket import calls_path
from jumpstarter.rpc.channels import (
    SystemTrust,
    TLSSettings,
    connect,
    fits_in_address,
    tcp_target,
    unix_target,
)
from jumpstarter.rpc.passphrase import PASSPHRASE_METADATA_KEY
from jumpstarter.rpc.stub import MetadataEntries, MultipathExporterStub
from jumpstarter.rpc.unary import answer

from .base import DriverClient
from .logs import log_stream
from .tree import Surroundings, build_client

MAX_PORT: Final = 65535
REPORT_SECONDS: Final = 30.0
"""Seconds in which an exporter must have said what drivers it has."""

_UNREACHABLE = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})


def is_tcp_address(path: str) -> bool:
    """Return whether `path` is `host:port` with a port from 1 to 65535, not a file."""
    host, _, port = path.rpartition(":")
    if not host or "/" in host or re.fullmatch("[0-9]{1,5}", port) is None:
        return False
    return 1 <= int(port) <= MAX_PORT


@asynccontextmanager
async def client_from_path(  # noqa: PLR0913 - public API
    path: str | Path,
    portal: BlockingPortal,
    stack: ExitStack,
    allow: Sequence[str],
    unsafe: bool,  # noqa: FBT001 - public API
    *,
    tls_config: TLSSettings | None = None,
    grpc_options: Mapping[str, str | int] | None = None,
    insecure: bool = False,
    passphrase: str | None = None,
) -> AsyncGenerator[DriverClient]:
    """Yield the root client of the exporter at `path`: `host:port`, or a Unix socket's path.

    `insecure` means no TLS on TCP. Client classes are imported as `import_class` allows. Raises
    ExporterUnreachableError when nobody answers, ConnectionError when the exporter refuses.
    """
    trust = tls_config or SystemTrust()
    target = await _target(str(path), trust, grpc_options, insecure=insecure)
    metadata = _passphrase_metadata(passphrase)
    async with connect(target) as channel:
        stub = MultipathExporterStub([channel], metadata)
        report = await _report(stub, str(path))
        blocking = connect_blocking(target, metadata, _socket_of_calls(str(path)))
        stub.blocking_call = stack.enter_context(blocking)
        yield build_client(report, Surroundings(stub, portal, stack, allow, unsafe))


async def client_from_channel(
    channel: Channel,
    portal: BlockingPortal,
    stack: ExitStack,
    allow: Sequence[str],
    unsafe: bool,  # noqa: FBT001 - public API
) -> DriverClient:
    """Return the root client of the exporter at the far end of `channel`; raises as above."""
    stub = MultipathExporterStub([channel])
    report = await _report(stub, "the exporter")
    return build_client(report, Surroundings(stub, portal, stack, allow, unsafe))


async def fetch_report(path: str | Path) -> jumpstarter_pb2.GetReportResponse:
    """Return what the exporter at `path` reports, without a client; raises as above."""
    async with connect(await _target(str(path), SystemTrust(), None, insecure=False)) as channel:
        return await _report(MultipathExporterStub([channel]), str(path))


@asynccontextmanager
async def watched(
    path: str | Path,
    *,
    show_all_logs: bool,
    insecure: bool = False,
    passphrase: str | None = None,
) -> AsyncGenerator[jumpstarter_pb2.GetReportResponse]:
    """Yield what the exporter at `path` reports, and follow its log meanwhile; raises as above.

    Records go to local loggers, those of hooks always.
    """
    target = await _target(str(path), SystemTrust(), None, insecure=insecure)
    async with connect(target) as channel:
        stub = MultipathExporterStub([channel], _passphrase_metadata(passphrase))
        report = await _report(stub, str(path))
        async with log_stream(stub, show_all_logs=show_all_logs):
            yield report


async def fetch_motd(channel: Channel) -> str:
    """Return the exporter's message of the day; empty where there is none."""
    report = await _report(MultipathExporterStub([channel]), "the exporter")
    return report.motd


async def _target(
    path: str, trust: TLSSettings, grpc_options: Mapping[str, str | int] | None, *, insecure: bool
) -> Target:
    if is_tcp_address(path):
        return await tcp_target(path, trust, grpc_options, plaintext=insecure)
    if not fits_in_address(path):
        message = f"{path}: no exporter answers there; the path of a socket cannot be so long"
        raise errors.ExporterUnreachableError(message)
    return unix_target(path)


def _socket_of_calls(path: str) -> Path | None:
    """Return the socket of calls of the exporter at `path`, where it has one."""
    if is_tcp_address(path):
        return None
    calls = calls_path(path)
    with suppress(OSError):
        # Somebody else could have put a socket there, but not one of the same owner.
        if calls.is_socket() and calls.stat().st_uid == Path(path).stat().st_uid:
            return calls
    return None


def _passphrase_metadata(passphrase: str | None) -> MetadataEntries:
    return () if passphrase is None else ((PASSPHRASE_METADATA_KEY, passphrase),)


async def _report(stub: MultipathExporterStub, where: str) -> jumpstarter_pb2.GetReportResponse:
    try:
        return await answer(stub.GetReport(empty_pb2.Empty(), timeout=REPORT_SECONDS))
    except AioRpcError as error:
        match error.code():
            case grpc.StatusCode.UNAUTHENTICATED:
                message = f"Authentication failed: {error.details()}"
                raise errors.ConnectionError(message) from None
            case code if code in _UNREACHABLE:
                message = f"{where}: no exporter answers there; is it running? ({error.details()})"
                raise errors.ExporterUnreachableError(message) from None
            case code:
                message = f"{where}: {code.name}: {error.details()}"
                raise errors.ConnectionError(message) from None
