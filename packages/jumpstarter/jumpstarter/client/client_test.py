"""Connecting: which addresses are TCP, what an exporter tells, and why it cannot be reached."""

import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import anyio
import grpc
import pytest
from anyio.from_thread import BlockingPortal
from google.protobuf import empty_pb2
from grpc.aio import ServicerContext
from jumpstarter_protocol import jumpstarter_pb2, jumpstarter_pb2_grpc
from typing_extensions import override

from jumpstarter.client import DriverClient, client, client_from_path
from jumpstarter.client.client import (
    client_from_channel,
    fetch_motd,
    fetch_report,
    is_tcp_address,
)
from jumpstarter.client.conftest import serving
from jumpstarter.driver import Driver, export
from jumpstarter.exporter import Session
from jumpstarter.exporter.auth import PassphraseInterceptor
from jumpstarter.model.errors import ConnectionError as OurConnectionError
from jumpstarter.model.errors import ExporterUnreachableError
from jumpstarter.model.status import ExporterStatus
from jumpstarter.rpc.channels import connect, unix_target
from jumpstarter.streams.listeners import TemporaryTcpListener
from jumpstarter.streams.sockets import SocketStream


class Named(Driver):
    """Says its name."""

    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"

    @export
    def who(self) -> str:
        return self.name


@pytest.fixture
def session() -> Session:
    session = Session(root_device=Named(labels={"jumpstarter.dev/name": "me"}), motd="hello")
    session.update_status(ExporterStatus.LEASE_READY)
    return session


@asynccontextmanager
async def connected(path: str | Path, **options: str | bool) -> AsyncGenerator[DriverClient]:
    async with BlockingPortal() as portal:
        with ExitStack() as stack:
            connection = client_from_path(path, portal, stack, [], True, **options)  # pyright: ignore[reportArgumentType] - of several types
            async with connection as client:
                yield client


async def who(path: str | Path, **options: str | bool) -> object:
    async with connected(path, **options) as client:
        return await client.call_async("who")


async def failure(path: str | Path, **options: str | bool) -> BaseException:
    """Return why nobody can be reached at `path`."""
    with anyio.fail_after(30), pytest.raises(BaseExceptionGroup) as caught:
        await who(path, **options)
    (error,) = caught.value.exceptions
    return error


@pytest.mark.parametrize(
    ("path", "is_tcp"),
    [
        ("localhost:1", True),
        ("127.0.0.1:65535", True),
        ("[::1]:8080", True),
        ("lab.example.com:443", True),
        ("localhost:0", False),
        ("localhost:65536", False),
        ("localhost:-1", False),
        ("localhost:+1", False),
        ("localhost:1.0", False),
        ("localhost: 1", False),
        ("localhost:\uff11", False),
        ("localhost:" + "9" * 5000, False),
        ("localhost:", False),
        (":80", False),
        ("80", False),
        ("", False),
        ("/run/jumpstarter/socket", False),
        ("/run/a:b/socket", False),
        ("/run/socket:80", False),
        ("./socket:80", False),
    ],
)
def test_which_addresses_are_tcp(path: str, is_tcp: bool):
    assert is_tcp_address(path) is is_tcp


async def test_unix_socket_by_text_and_by_path(session: Session):
    async with session.serve_unix_async() as path:
        assert await who(path) == "me"
        assert await who(str(path)) == "me"


@pytest.mark.parametrize("name", ["socket", "a b", "é", "100%25", "a:b", "a?b#c"])
async def test_unix_socket_of_any_name(
    session: Session, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    async with session.serve_unix_async() as path:
        (tmp_path / name).symlink_to(path)
        assert await who(tmp_path / name) == "me"
        assert await who(name) == "me"


async def test_tcp_in_the_clear(session: Session):
    async with session.serve_tcp_async("127.0.0.1", 0) as port:
        assert await who(f"127.0.0.1:{port}", insecure=True) == "me"


async def test_passphrase(session: Session):
    interceptors = [PassphraseInterceptor("open sesame")]
    async with session.serve_tcp_async("127.0.0.1", 0, interceptors=interceptors) as port:
        address = f"127.0.0.1:{port}"
        assert await who(address, insecure=True, passphrase="open sesame") == "me"
        wrong = await failure(address, insecure=True, passphrase="wrong")
        none = await failure(address, insecure=True)
    for error in (wrong, none):
        assert type(error) is OurConnectionError
        assert str(error) == "Authentication failed: invalid or missing passphrase"


async def test_client_of_a_channel(session: Session):
    async with (
        session.serve_unix_async() as path,
        connect(unix_target(path)) as channel,
        BlockingPortal() as portal,
    ):
        with ExitStack() as stack:
            client = await client_from_channel(channel, portal, stack, [], unsafe=True)
            assert await client.call_async("who") == "me"


async def test_what_an_exporter_reports(session: Session):
    async with session.serve_unix_async() as path, connect(unix_target(path)) as channel:
        assert await fetch_motd(channel) == "hello"
        report = await fetch_report(path)
    assert report.motd == "hello"
    assert [item.labels["jumpstarter.dev/name"] for item in report.reports] == ["me"]


def no_file(folder: Path) -> str:
    return str(folder / "absent")


def plain_file(folder: Path) -> str:
    path = folder / "file"
    path.touch()
    return str(path)


def folder_itself(folder: Path) -> str:
    return str(folder)


def too_long(folder: Path) -> str:
    return str(folder / ("x" * 200))


def dead_socket(folder: Path) -> str:
    path = folder / "dead"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
    return str(path)


def nothing(_: Path) -> str:
    return ""


@pytest.mark.parametrize(
    "place", [no_file, plain_file, folder_itself, too_long, dead_socket, nothing]
)
async def test_nobody_at_a_path(place: Callable[[Path], str], tmp_path: Path):
    path = place(tmp_path)
    error = await failure(path)
    assert type(error) is ExporterUnreachableError
    assert error.message.startswith(f"{path}: no exporter answers there; ")
    assert "\n" not in error.message
    with pytest.raises(ExporterUnreachableError):
        await fetch_report(path)


async def test_nobody_at_a_port():
    async with TemporaryTcpListener(SocketStream.aclose) as address:
        pass
    error = await failure(f"127.0.0.1:{address[1]}", insecure=True)
    assert type(error) is ExporterUnreachableError


async def test_something_else_at_a_port():
    async def greet(stream: SocketStream) -> None:
        async with stream:
            await stream.send(b"SSH-2.0-OpenSSH_9.9\r\n")

    async with TemporaryTcpListener(greet) as address:
        error = await failure(f"127.0.0.1:{address[1]}", insecure=True)
    assert type(error) is ExporterUnreachableError


class Answer(jumpstarter_pb2_grpc.ExporterServiceServicer):
    """Answers the first call of a client as it is told, or never."""

    def __init__(self, status: grpc.StatusCode | None) -> None:
        self._status = status

    @override
    async def GetReport(
        self,
        request: empty_pb2.Empty,
        context: ServicerContext[empty_pb2.Empty, jumpstarter_pb2.GetReportResponse],
    ) -> jumpstarter_pb2.GetReportResponse:
        if self._status is None:
            await anyio.sleep_forever()
            raise AssertionError
        await context.abort(self._status, "the reason")


@pytest.mark.parametrize(
    ("status", "kind", "text"),
    [
        ("UNAVAILABLE", ExporterUnreachableError, "no exporter answers there; is it running?"),
        ("DEADLINE_EXCEEDED", ExporterUnreachableError, "no exporter answers there; is it running"),
        ("UNAUTHENTICATED", OurConnectionError, "Authentication failed: the reason"),
        ("PERMISSION_DENIED", OurConnectionError, "PERMISSION_DENIED: the reason"),
        ("UNIMPLEMENTED", OurConnectionError, "UNIMPLEMENTED: the reason"),
    ],
)
async def test_refusal_of_the_first_call(status: str, kind: type[Exception], text: str):
    async with serving(Answer(grpc.StatusCode[status])) as path:
        error = await failure(path)
    assert type(error) is kind
    assert text in str(error)


async def test_exporter_that_never_answers(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(client, "REPORT_SECONDS", 0.1)
    async with serving(Answer(None)) as path:
        error = await failure(path)
    assert type(error) is ExporterUnreachableError
