"""Files as they are written, into directories and into stores."""

import os
import resource
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest
from opendal import AsyncOperator
from opendal import (
    exceptions as opendal_errors,  # pyright: ignore[reportMissingModuleSource] - it is compiled
)

from jumpstarter_driver_tftp.errors import FileRefused
from jumpstarter_driver_tftp.files import Directory, Files
from jumpstarter_driver_tftp.files_test import content
from jumpstarter_driver_tftp.packet import TftpErrorCode
from jumpstarter_driver_tftp.stores import Store
from jumpstarter_driver_tftp.writing import GATHERED_BYTES, create

MIB = 1 << 20


async def nothing() -> None:
    pass


async def write(
    files: Files,
    *path: str,
    data: bytes = b"new",
    overwrite: bool = False,
    max_bytes: int = MIB,
    meanwhile: Callable[[], Awaitable[None]] = nothing,
) -> None:
    """Write a file; `meanwhile` happens when all of it has arrived, before it gets its name."""
    async with create(files, path, overwrite=overwrite, max_bytes=max_bytes) as upload:
        for start in range(0, len(data), 1400):
            await upload.write(data[start : start + 1400])
        await meanwhile()
        await upload.complete()


async def refusal(writing: Awaitable[None]) -> tuple[int, str]:
    with pytest.raises(FileRefused) as raised:
        await writing
    return raised.value.code, raised.value.text


def names(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


BEFORE = ["boot.img", "pxe", "pxe/boot.img"]
EXISTS = (TftpErrorCode.FILE_EXISTS, "File already exists")
NOT_A_FILE = (TftpErrorCode.ACCESS_VIOLATION, "Not a file")
FORBIDDEN = (TftpErrorCode.ACCESS_VIOLATION, "Access violation")
DISK_FULL = (TftpErrorCode.DISK_FULL, "Disk full or allocation exceeded")


@contextmanager
def files_up_to(size: int) -> Generator[None]:
    """Let this process write no larger files; the kernel says so as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_size_is_bounded(root: Path):
    await write(Directory(root), "new", data=bytes(5000), max_bytes=5000)
    too_large = (TftpErrorCode.DISK_FULL, "File is larger than 4999 bytes")
    assert (
        await refusal(write(Directory(root), "other", data=bytes(5000), max_bytes=4999))
        == too_large
    )
    store = Store(AsyncOperator("memory"))
    assert await refusal(write(store, "other", data=bytes(5000), max_bytes=4999)) == too_large
    assert names(root) == sorted([*BEFORE, "new"])


async def test_after_a_refusal_no_file_appears(root: Path):
    async with create(Directory(root), ("new",), overwrite=False, max_bytes=3) as upload:
        for call in (upload.write(b"four"), upload.write(b"x"), upload.complete()):
            with pytest.raises(FileRefused):
                await call
    assert names(root) == BEFORE


@pytest.fixture(params=["memory", "fs"])
def store(root: Path, request: pytest.FixtureRequest) -> Store:
    """A store that shows what is complete, or one that shows what it is told to write."""
    options = {"root": str(root)} if request.param == "fs" else {}
    return Store(AsyncOperator(request.param, **options))


async def stored(store: Store) -> list[str]:
    entries = await store.operator.scan("/")
    return sorted([entry.path async for entry in entries if not entry.path.endswith("/")])


@pytest.mark.parametrize("size", [0, 1, GATHERED_BYTES, GATHERED_BYTES + 1, 1_000_000])
async def test_store_keeps_what_was_written(store: Store, size: int):
    before = await stored(store)
    data = os.urandom(size)
    await write(store, "some", "new", data=data)
    assert await content(store, "some", "new") == data
    assert await stored(store) == sorted([*before, "some/new"])


async def test_file_of_a_store_appears_when_it_is_complete(store: Store):
    before = await stored(store)
    async with create(store, ("new",), overwrite=False, max_bytes=MIB) as upload:
        await upload.write(bytes(GATHERED_BYTES + 1))
        with pytest.raises(opendal_errors.NotFound):
            await store.operator.stat("new")
        for name in set(await stored(store)) - set(before):
            with pytest.raises(FileRefused):
                await content(store, name)
    assert await stored(store) == before
    with anyio.CancelScope() as scope:
        async with create(store, ("new",), overwrite=False, max_bytes=MIB) as upload:
            await upload.write(bytes(GATHERED_BYTES + 1))
            scope.cancel()
            await upload.complete()
    assert scope.cancelled_caught
    assert await stored(store) == before


async def test_store_keeps_what_it_has(store: Store):
    await write(store, "new", data=b"first")
    before = await stored(store)
    assert await refusal(write(store, "new")) == EXISTS

    async def appear() -> None:
        await write(store, "late", data=b"first")

    assert await refusal(write(store, "late", meanwhile=appear)) == EXISTS
    assert await content(store, "new") == await content(store, "late") == b"first"
    assert await stored(store) == sorted([*before, "late"])


async def test_store_replaces_a_file_when_that_is_allowed(store: Store):
    await write(store, "new", data=b"first")
    await write(store, "new", data=b"second", overwrite=True)
    assert await content(store, "new") == b"second"


async def test_store_replaces_no_directory(store: Store):
    await write(store, "folder", "new")
    assert await refusal(write(store, "folder")) == EXISTS
    assert await refusal(write(store, "folder", overwrite=True)) == NOT_A_FILE


async def test_of_many_that_write_one_name_into_a_store_one_succeeds(store: Store):
    written: list[bytes] = []
    refused: list[tuple[int, str]] = []

    async def compete(data: bytes) -> None:
        try:
            await write(store, "new", data=data)
        except FileRefused as refusal:
            refused.append((refusal.code, refusal.text))
        else:
            written.append(data)

    async with anyio.create_task_group() as tasks:
        for number in range(10):
            tasks.start_soon(compete, bytes([number]) * 1000)
    assert refused == [EXISTS] * 9
    assert written == [await content(store, "new")]


async def test_store_that_takes_no_files():
    store = Store(AsyncOperator("http", endpoint="http://127.0.0.1:9"))
    assert await refusal(write(store, "new")) == FORBIDDEN


async def test_store_that_cannot_be_reached():
    address = {"endpoint": "http://127.0.0.1:9", "region": "x", "bucket": "b"}
    keys = {"access_key_id": "k", "secret_access_key": "s"}
    store = Store(AsyncOperator("s3", **address, **keys))
    assert await refusal(write(store, "new")) == (TftpErrorCode.NOT_DEFINED, "Storage failed")


async def test_store_that_is_full(root: Path):
    store = Store(AsyncOperator("fs", root=str(root)))
    with files_up_to(MIB):
        full = await refusal(write(store, "new", data=bytes(3 * MIB), max_bytes=8 * MIB))
    assert full == (TftpErrorCode.NOT_DEFINED, "Storage failed")  # it does not say why
    assert names(root) == BEFORE


async def test_name_that_a_store_cannot_have(store: Store):
    assert (await refusal(write(store, "\udcff")))[0] == TftpErrorCode.FILE_NOT_FOUND
