"""Flashing and dumping: local files through the client, web addresses by the exporter itself."""

import gzip
import http.server
import os
import threading
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest
from click.testing import CliRunner

from jumpstarter.client.flasher import (
    FlasherClient,
    PathBuf,
    _AsyncIteratorStream,  # pyright: ignore[reportPrivateUsage] - packages of others import it
    _FileWriteObjectStream,  # pyright: ignore[reportPrivateUsage] - packages of others import it
    _http_url_adapter,  # pyright: ignore[reportPrivateUsage] - packages of others import it
    _local_file_adapter,  # pyright: ignore[reportPrivateUsage] - packages of others import it
    _parse_path,  # pyright: ignore[reportPrivateUsage] - packages of others import it
)
from jumpstarter.common.utils import serve
from jumpstarter.driver import Driver, FlasherInterface, export
from jumpstarter.model.errors import ArgumentError
from jumpstarter.streams.encoding import Compression
from jumpstarter.streams.progress import ProgressAttribute

IMAGE = os.urandom((1 << 21) + 5)


class Flash(FlasherInterface, Driver):
    """A device that keeps its images in memory."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.images: dict[str | None, bytes] = {}
        self.handles: list[object] = []

    @export
    async def flash(self, source: object, target: str | None = None) -> str | None:
        self.handles.append(source)
        async with self.resource(source) as stream:
            self.images[target] = b"".join([chunk async for chunk in stream])
        return target

    @export
    async def dump(self, target: object, partition: str | None = None) -> str | None:
        self.handles.append(target)
        async with self.resource(target) as stream:
            await stream.send(self.images[partition])
        return partition


@contextmanager
def served(driver: Driver) -> Generator[FlasherClient]:
    with serve(driver) as client:
        assert isinstance(client, FlasherClient)
        yield client


@pytest.fixture
def device() -> Flash:
    return Flash()


@pytest.fixture
def client(device: Flash) -> Generator[FlasherClient]:
    with served(device) as client:
        yield client


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image"
    path.write_bytes(IMAGE)
    return path


class _Store(http.server.BaseHTTPRequestHandler):
    """Gives the image to whoever asks, and keeps what is put."""

    put: bytes = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(IMAGE)))
        self.end_headers()
        self.wfile.write(IMAGE)

    def do_PUT(self) -> None:
        _Store.put = b"".join(self._body())
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _body(self) -> Iterator[bytes]:
        if "Content-Length" in self.headers:
            yield self.rfile.read(int(self.headers["Content-Length"]))
            return
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Keep the test's output clean."""


@pytest.fixture
def web() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Store) as store:
        thread = threading.Thread(target=store.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{store.server_port}/image"
        store.shutdown()
        thread.join()


def test_interface_names_its_client():
    assert Flash.client() == "jumpstarter.client.flasher.FlasherClient"
    assert Flash.driver_type == "storage"


@pytest.mark.parametrize("kind", [str, Path])
def test_flash_a_local_file(
    device: Flash, client: FlasherClient, image: Path, kind: type[str | Path]
):
    assert client.flash(kind(image), target="boot") == "boot"
    assert device.images == {"boot": IMAGE}


def test_flash_without_target(device: Flash, client: FlasherClient, image: Path):
    assert client.flash(image) is None
    assert device.images == {None: IMAGE}


def test_flash_several_images(device: Flash, client: FlasherClient, image: Path, tmp_path: Path):
    (tmp_path / "small").write_bytes(b"small")
    results = client.flash({"boot": image, "data": str(tmp_path / "small")})
    assert results == {"boot": "boot", "data": "data"}
    assert device.images == {"boot": IMAGE, "data": b"small"}


def test_flash_an_empty_file(device: Flash, client: FlasherClient, tmp_path: Path):
    (tmp_path / "empty").touch()
    client.flash(tmp_path / "empty")
    assert device.images == {None: b""}


def test_target_with_several_images_is_refused(device: Flash, client: FlasherClient, image: Path):
    with pytest.raises(ArgumentError, match="target"):
        client.flash({"boot": image}, target="data")
    assert device.images == {}


def test_missing_file_reaches_no_driver(device: Flash, client: FlasherClient, tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="absent"):
        client.flash(tmp_path / "absent")
    assert device.handles == []


def test_compressed_file_arrives_plain(device: Flash, client: FlasherClient, tmp_path: Path):
    path = tmp_path / "image.gz"
    path.write_bytes(gzip.compress(IMAGE))
    client.flash(path, compression=Compression.GZIP)
    assert device.images == {None: IMAGE}


def test_dump_to_a_local_file(device: Flash, client: FlasherClient, tmp_path: Path):
    device.images["boot"] = IMAGE
    assert client.dump(tmp_path / "dump", target="boot") == "boot"
    assert (tmp_path / "dump").read_bytes() == IMAGE


def test_dump_compressed(device: Flash, client: FlasherClient, tmp_path: Path):
    device.images[None] = IMAGE
    client.dump(tmp_path / "dump.gz", compression=Compression.GZIP)
    assert gzip.decompress((tmp_path / "dump.gz").read_bytes()) == IMAGE


def test_flash_from_the_web_is_left_to_the_exporter(device: Flash, client: FlasherClient, web: str):
    client.flash(web)
    assert device.images == {None: IMAGE}
    assert device.handles == [
        {"kind": "presigned_request", "headers": {}, "url": web, "method": "GET"}
    ]


def test_dump_to_the_web_is_left_to_the_exporter(device: Flash, client: FlasherClient, web: str):
    device.images[None] = IMAGE
    client.dump(web)
    assert _Store.put == IMAGE
    assert device.handles == [
        {"kind": "presigned_request", "headers": {}, "url": web, "method": "PUT"}
    ]


def test_compression_of_the_web_is_ignored_with_a_warning(
    device: Flash, client: FlasherClient, web: str
):
    with pytest.warns(UserWarning, match="gzip is ignored"):
        client.flash(web, compression=Compression.GZIP)
    assert device.images == {None: IMAGE}


@pytest.mark.parametrize(
    ("path", "parsed"),
    [
        ("http://h/p?q=1", (None, "http://h/p?q=1")),
        ("https://h/p", (None, "https://h/p")),
        ("HTTPS://h/p", (None, "HTTPS://h/p")),
        ("/image", (Path("/image"), None)),
        (Path("/image"), (Path("/image"), None)),
        ("image", (Path.cwd() / "image", None)),
        ("httpd.conf", (Path.cwd() / "httpd.conf", None)),
    ],
)
def test_web_addresses_are_told_from_files(
    path: PathBuf, parsed: tuple[Path, None] | tuple[None, str]
):
    assert _parse_path(path) == parsed


def test_adapters_yield_handles(client: FlasherClient, image: Path):
    with _http_url_adapter(client=client, url="http://h/x", mode="wb") as handle:
        assert handle == {
            "kind": "presigned_request",
            "headers": {},
            "url": "http://h/x",
            "method": "PUT",
        }
    with _local_file_adapter(client=client, path=image) as handle:
        assert client.call("flash", handle) is None


@pytest.mark.parametrize(
    ("arguments", "targets"),
    [
        (["flash", "image"], [None]),
        (["flash", "-t", "boot:image"], ["boot"]),
        (["flash", "-t", "boot:image", "--target", "data:image"], ["boot", "data"]),
    ],
)
def test_flash_command(
    device: Flash,
    client: FlasherClient,
    image: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    targets: list[str | None],
):
    monkeypatch.chdir(image.parent)
    result = CliRunner().invoke(client.cli(), arguments)
    assert result.exit_code == 0, result.output
    assert device.images == dict.fromkeys(targets, IMAGE)


def test_dump_command(device: Flash, client: FlasherClient, tmp_path: Path):
    device.images["boot"] = IMAGE
    path = tmp_path / "dump.xz"
    arguments = ["dump", str(path), "--target", "boot", "--compression", "xz"]
    result = CliRunner().invoke(client.cli(), arguments)
    assert result.exit_code == 0, result.output
    client.flash(path, target="again", compression=Compression.XZ)
    assert device.images["again"] == IMAGE


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["flash"], "either FILE, or"),
        (["flash", "image", "-t", "boot:image"], "either FILE, or"),
        (["flash", "-t", "boot"], "'boot': expected NAME:FILE"),
        (["flash", "-t", ":image"], "':image': expected NAME:FILE"),
        (["flash", "-t", "boot:"], "'boot:': expected NAME:FILE"),
        (["flash", "-t", "boot:a", "-t", "boot:b"], "'boot:b': expected NAME:FILE"),
        (["flash", "image", "--compression", "rar"], "'rar' is not one of"),
        (["dump"], "Missing argument"),
    ],
)
def test_wrong_commands_reach_no_driver(
    device: Flash, client: FlasherClient, arguments: list[str], problem: str
):
    result = CliRunner().invoke(client.cli(), arguments)
    assert result.exit_code == 2
    assert problem in result.output
    assert device.handles == []


async def _two_chunks() -> AsyncGenerator[bytes]:
    yield b"one"
    yield b"two"


async def test_iterator_stream_ends_with_its_iterator():
    stream = _AsyncIteratorStream(iterator=_two_chunks(), total=6)
    assert stream.extra(ProgressAttribute.total) == 6
    assert [chunk async for chunk in stream] == [b"one", b"two"]
    with pytest.raises(anyio.EndOfStream):
        await stream.receive()


async def test_iterator_stream_cannot_be_sent_to():
    async with _AsyncIteratorStream(iterator=_two_chunks()) as stream:
        with pytest.raises(anyio.BrokenResourceError):
            await stream.send(b"x")
        await stream.send_eof()
        assert stream.extra(ProgressAttribute.total, None) is None


async def test_closing_an_iterator_stream_closes_the_iterator():
    iterator = _two_chunks()
    stream = _AsyncIteratorStream(iterator=iterator)
    await stream.receive()
    await stream.aclose()
    assert [chunk async for chunk in iterator] == []


async def test_file_stream_writes_what_is_sent(tmp_path: Path):
    path = tmp_path / "file"
    stream = _FileWriteObjectStream(path=path)
    await stream.send(b"one")
    await stream.send(b"two")
    with pytest.raises(anyio.EndOfStream):
        await stream.receive()
    await stream.send_eof()
    await stream.aclose()
    assert await anyio.Path(path).read_bytes() == b"onetwo"


async def test_file_stream_without_bytes_touches_nothing(tmp_path: Path):
    stream = _FileWriteObjectStream(path=tmp_path / "file")
    await stream.aclose()
    assert not await anyio.Path(tmp_path / "file").exists()
