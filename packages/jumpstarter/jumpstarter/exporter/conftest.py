"""What the tests of exporters share: a driver with a method of each kind, its session, a client."""

import logging
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import field
from pathlib import Path
from typing import cast

import anyio
import pytest
from anyio.abc import ObjectStream
from anyio.from_thread import BlockingPortal
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from typing_extensions import override

from jumpstarter.client import DriverClient
from jumpstarter.client.client import client_from_path
from jumpstarter.config.tls import TLSConfigV1Alpha1
from jumpstarter.driver import Driver, export, exportstream
from jumpstarter.exporter import Session
from jumpstarter.model.requests import DriverStreamRequest, ResourceStreamRequest
from jumpstarter.model.status import ExporterStatus
from jumpstarter.rpc.channels import connect, unix_target
from jumpstarter.rpc.opening import RouterApi, connect_stream
from jumpstarter.rpc.stub import MultipathExporterStub
from jumpstarter.streams.forwarding import AnyByteStream
from jumpstarter.streams.sockets import SocketStream, connect_tcp


@dataclass(kw_only=True, config=ConfigDict(arbitrary_types_allowed=True))
class Probe(Driver):
    """Does one thing of each kind; `target` is what its stream `connect` leads to."""

    target: tuple[str, int] = ("127.0.0.1", 1)
    events: list[str] = field(default_factory=list[str], init=False)
    raised: Exception | None = field(default=None, init=False)

    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"

    def reset(self) -> None:
        self.events.append("reset")
        super().reset()

    def close(self) -> None:
        self.events.append("close")
        super().close()

    @export
    def echo(self, value: object) -> object:
        return value

    @export
    async def fail(self, kind: str, text: str) -> None:
        failures: dict[str, type[BaseException]] = {
            "value": ValueError,
            "key": KeyError,
            "timeout": TimeoutError,
            "connection": ConnectionResetError,
            "os": OSError,
            "exit": SystemExit,
            "cancelled": anyio.get_cancelled_exc_class(),
        }
        raise failures[kind](text)

    @export
    def note(self, text: str) -> None:
        self.events.append(text)

    @export
    def raise_it(self) -> None:
        if self.raised is not None:
            raise self.raised

    @export
    def leave(self, code: int) -> None:
        sys.exit(code)

    @export
    def log(self, message: str) -> None:
        self.logger.info("%s", message)

    @export
    async def sleep(self) -> None:
        await anyio.sleep_forever()

    @export
    def count(self, limit: int) -> Generator[int, None, None]:
        yield from range(limit)

    @export
    def count_and_leave(self, code: int) -> Generator[int, None, None]:
        yield code
        sys.exit(code)

    @export
    async def wait(self) -> AsyncIterator[str]:
        """Yield once, and then only clean up."""
        try:
            yield "waiting"
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.02)
            self.events.append("cleaned up")

    @exportstream
    @asynccontextmanager
    async def connect(self) -> AsyncGenerator[SocketStream]:
        async with await connect_tcp(*self.target) as stream:
            yield stream

    @exportstream
    @asynccontextmanager
    async def fails(self) -> AsyncGenerator[ObjectStream[bytes]]:
        raise ConnectionRefusedError("cannot connect to tcp://target:1: Connection refused")
        yield  # pyright: ignore[reportUnreachable] - makes it a generator

    def unmarked(self) -> None:
        """Stay out of reach of clients."""


@asynccontextmanager
async def serve_probe(
    driver: Driver, status: ExporterStatus = ExporterStatus.LEASE_READY
) -> AsyncGenerator[tuple[Session, Path]]:
    """Serve a session of `driver` on one socket, which is yielded."""
    with Session(root_device=driver) as session:
        session.update_status(status)
        async with session.serve_unix_async() as path:
            yield session, path


@asynccontextmanager
async def stub_for(path: Path) -> AsyncGenerator[MultipathExporterStub]:
    """Yield the methods of an exporter, as its clients call them."""
    async with connect(unix_target(path)) as channel:
        yield MultipathExporterStub([channel])


@asynccontextmanager
async def opened(
    stub: MultipathExporterStub, request: DriverStreamRequest | ResourceStreamRequest
) -> AsyncGenerator[ObjectStream[bytes]]:
    """Yield the client's end of the stream that is asked for."""
    async with connect_stream(cast("RouterApi", stub), request.model_dump_json()) as stream:
        yield stream


@asynccontextmanager
async def client_for(
    path: Path | str,
    *,
    tls_config: TLSConfigV1Alpha1 | None = None,
    passphrase: str | None = None,
    insecure: bool = False,
) -> AsyncGenerator[DriverClient]:
    """Yield the root client of the exporter at `path`."""
    # Its blocking methods are not used here: the portal need not run.
    portal = BlockingPortal()
    with ExitStack() as stack:
        async with client_from_path(
            path,
            portal,
            stack,
            [],
            True,
            tls_config=tls_config,
            passphrase=passphrase,
            insecure=insecure,
        ) as client:
            yield client


async def collect(stream: AnyByteStream) -> bytes:
    """Return all that `stream` gives until its end."""
    return b"".join([chunk async for chunk in stream])


async def echo(stream: SocketStream) -> None:
    """Serve a connection by sending back what comes, and its end."""
    async for chunk in stream:
        await stream.send(chunk)
    await stream.send_eof()


def open_files() -> int:
    """Return how many descriptors this process has open."""
    return len(os.listdir("/proc/self/fd"))


async def until(condition: Callable[[], bool]) -> None:
    """Return when `condition` holds: for what nothing tells about, like the kernel, or gRPC."""
    with anyio.fail_after(10):
        while not condition():  # noqa: ASYNC110 - nothing tells
            await anyio.sleep(0.01)


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Expect that nothing is worth a warning, which each end of a stream would bring."""
    yield
    records = caplog.get_records("call")
    assert [record for record in records if record.levelno >= logging.WARNING] == []


class Records(logging.Handler):
    """Keeps the texts of log records."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def listening(name: str) -> Iterator[Records]:
    """Yield what the logger `name` is told."""
    handler, logger = Records(), logging.getLogger(name)
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


@pytest.fixture
def peer(peer_interpreter: Path) -> Path:
    """An interpreter that imports the packages of release 0.9.0."""
    return peer_interpreter


def peer_environment(**extra: str) -> dict[str, str]:
    """Return this process's environment without what it says about exporters, and with `extra`."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("JMP_")}
    return kept | extra
