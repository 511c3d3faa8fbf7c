"""Files lent to a driver call: streamed, signed, or fetched from their address."""

import bz2
import gzip
import lzma
import os
from collections.abc import Callable, Generator
from pathlib import Path

import anyio
import pytest
from jumpstarter.client import DriverClient
from jumpstarter.client.core import DriverError
from jumpstarter.common.utils import serve
from jumpstarter.driver import Driver, export
from jumpstarter.streams.encoding import Compression
from jumpstarter.streams.progress import ProgressAttribute
from opendal import AsyncOperator, Operator

from jumpstarter_driver_opendal.adapter import AsyncFileStream, OpendalAdapter
from jumpstarter_driver_opendal.common import Mode
from jumpstarter_driver_opendal.conftest import WebServer

DATA = os.urandom(1 << 20) + bytes(2 << 20)


class Keeper(Driver):
    """Keeps what it is sent and gives it back."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.kept = b""
        self.handles: list[object] = []

    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"

    @export
    async def take(self, handle: object) -> None:
        self.handles.append(handle)
        async with self.resource(handle) as stream:
            self.kept = b"".join([chunk async for chunk in stream])

    @export
    async def give_up(self, handle: object) -> None:
        async with self.resource(handle) as stream:
            await stream.receive()
            raise OSError("medium is worn out")

    @export
    async def give(self, handle: object) -> None:
        self.handles.append(handle)
        async with self.resource(handle) as stream:
            await stream.send(self.kept)


@pytest.fixture
def keeper() -> Keeper:
    return Keeper()


@pytest.fixture
def client(keeper: Keeper) -> Generator[DriverClient]:
    with serve(keeper) as client:
        yield client


def test_file_is_read_and_written(client: DriverClient, keeper: Keeper, tmp_path: Path) -> None:
    operator = Operator("fs", root=str(tmp_path))
    (tmp_path / "up").write_bytes(DATA)
    with OpendalAdapter(client=client, operator=operator, path="up") as handle:
        client.call("take", handle)
    with OpendalAdapter(client=client, operator=operator, path="down", mode="wb") as handle:
        client.call("give", handle)
    assert keeper.kept == DATA
    assert (tmp_path / "down").read_bytes() == DATA


@pytest.mark.parametrize(
    ("compression", "compress", "decompress"),
    [
        (Compression.GZIP, gzip.compress, gzip.decompress),
        (Compression.XZ, lzma.compress, lzma.decompress),
        (Compression.BZ2, bz2.compress, bz2.decompress),
    ],
)
def test_driver_sees_a_compressed_file_plain(
    client: DriverClient,
    keeper: Keeper,
    tmp_path: Path,
    compression: Compression,
    compress: Callable[[bytes], bytes],
    decompress: Callable[[bytes], bytes],
) -> None:
    operator = Operator("fs", root=str(tmp_path))
    (tmp_path / "up").write_bytes(compress(DATA))
    with OpendalAdapter(
        client=client, operator=operator, path="up", compression=compression
    ) as handle:
        client.call("take", handle)
    assert keeper.kept == DATA
    with OpendalAdapter(
        client=client, operator=operator, path="down", mode="wb", compression=compression
    ) as handle:
        client.call("give", handle)
    assert decompress((tmp_path / "down").read_bytes()) == DATA


def test_zstandard_passes_both_ways(client: DriverClient, keeper: Keeper, tmp_path: Path) -> None:
    operator = Operator("fs", root=str(tmp_path))
    keeper.kept = DATA
    with OpendalAdapter(
        client=client, operator=operator, path="file", mode="wb", compression=Compression.ZSTD
    ) as handle:
        client.call("give", handle)
    assert (tmp_path / "file").read_bytes().startswith(b"\x28\xb5\x2f\xfd")
    keeper.kept = b""
    with OpendalAdapter(
        client=client, operator=operator, path="file", compression=Compression.ZSTD
    ) as handle:
        client.call("take", handle)
    assert keeper.kept == DATA


def test_service_that_signs_is_left_to_the_exporter(
    client: DriverClient, keeper: Keeper, web: WebServer
) -> None:
    web.files["/file"] = DATA
    operator = Operator("http", endpoint=web.url)
    with OpendalAdapter(client=client, operator=operator, path="file") as handle:
        client.call("take", handle)
    assert keeper.kept == DATA
    assert keeper.handles == [
        {"kind": "presigned_request", "url": f"{web.url}/file", "method": "GET", "headers": {}}
    ]


def test_compressed_file_of_a_service_that_signs_is_streamed(
    client: DriverClient, keeper: Keeper, web: WebServer
) -> None:
    web.files["/file"] = gzip.compress(DATA)
    operator = Operator("http", endpoint=web.url)
    with OpendalAdapter(
        client=client, operator=operator, path="file", compression=Compression.GZIP
    ) as handle:
        client.call("take", handle)
    assert keeper.kept == DATA
    assert isinstance(keeper.handles[0], dict)
    assert keeper.handles[0]["kind"] == "client_stream"


def test_original_address_wins_over_the_operator(
    client: DriverClient, keeper: Keeper, web: WebServer
) -> None:
    web.files["/a%20b?x=1"] = DATA
    with OpendalAdapter(
        client=client,
        operator=Operator("memory"),
        path="ignored",
        original_url=f"{web.url}/a%20b?x=1",
    ) as handle:
        client.call("take", handle)
    assert keeper.kept == DATA


@pytest.mark.parametrize(
    ("mode", "compression", "message"),
    [("wb", None, "can only be read"), ("rb", Compression.GZIP, "omit 'compression'")],
)
def test_original_address_allows_plain_reading_only(
    client: DriverClient, mode: Mode, compression: Compression | None, message: str
) -> None:
    with (
        pytest.raises(ValueError, match=message),
        OpendalAdapter(
            client=client,
            operator=Operator("memory"),
            path="x",
            mode=mode,
            compression=compression,
            original_url="https://host/x",
        ),
    ):
        pass


def test_missing_file_is_an_error_that_names_it(client: DriverClient, tmp_path: Path) -> None:
    with (
        pytest.raises(FileNotFoundError, match="stat 'missing': no such file"),
        OpendalAdapter(client=client, operator=Operator("fs", root=str(tmp_path)), path="missing"),
    ):
        pass


@pytest.mark.parametrize("attempt", range(5))
def test_driver_that_gives_up_is_heard_over_the_broken_stream(
    client: DriverClient, tmp_path: Path, attempt: int
) -> None:
    (tmp_path / "up").write_bytes(bytes((40 + attempt) << 20))
    with (
        pytest.raises(DriverError, match="medium is worn out"),
        OpendalAdapter(
            client=client, operator=Operator("fs", root=str(tmp_path)), path="up"
        ) as handle,
    ):
        client.call("give_up", handle)


async def test_stream_tells_the_size_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(DATA)
    operator = AsyncOperator("fs", root=str(tmp_path))
    file, metadata = await operator.open("file", "rb"), await operator.stat("file")  # pyright: ignore[reportUnknownMemberType] - the library's paths are of an open kind
    async with AsyncFileStream(file=file, metadata=metadata) as stream:
        assert stream.extra(ProgressAttribute.total) == len(DATA)
        chunks = [chunk async for chunk in stream]
    assert b"".join(chunks) == DATA
    assert [len(chunk) for chunk in chunks] == [1 << 20] * 3


async def test_stream_into_a_file_has_nothing_to_receive(tmp_path: Path) -> None:
    operator = AsyncOperator("fs", root=str(tmp_path))
    async with AsyncFileStream(await operator.open("file", "wb")) as stream:  # pyright: ignore[reportUnknownMemberType] - the library's paths are of an open kind
        with pytest.raises(anyio.EndOfStream):
            await stream.receive()
        await stream.send(b"12")
        await stream.send_eof()
        assert stream.extra(ProgressAttribute.total, None) is None
    assert (tmp_path / "file").read_bytes() == b"12"
