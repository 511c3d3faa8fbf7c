"""Files as they are opened and read, on file systems of several kinds."""

import os
import socket
import threading
from collections.abc import Generator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from opendal import AsyncOperator

from jumpstarter_driver_tftp.errors import FileRefused
from jumpstarter_driver_tftp.files import Directory, Files, files_of
from jumpstarter_driver_tftp.names import FORBIDDEN, NOT_A_FILE, NOT_FOUND
from jumpstarter_driver_tftp.stores import Store


async def content(files: Files, *path: str, limit: int = 1 << 16) -> bytes:
    read = b""
    async with files.open(path) as file:
        last = False
        while not last:
            chunk, last = await file.read(limit)
            read += chunk
        assert file.size in {None, len(read)}
    return read


@pytest.fixture
def memory() -> Generator[Path]:
    """A directory whose file system cannot tell what it has at hand."""
    with TemporaryDirectory(dir="/dev/shm") as path:
        yield Path(path)


@pytest.mark.parametrize("size", [0, 1, 1 << 16, (1 << 16) + 1, 1_000_000])
async def test_file_is_read_to_its_end(root: Path, memory: Path, size: int):
    expected = os.urandom(size)
    for directory in (root, memory):
        (directory / "file").write_bytes(expected)
        assert await content(Directory(directory), "file") == expected


async def test_open_file_stays_as_it_was(root: Path):
    (root / "file").write_bytes(b"old")
    async with Directory(root).open(("file",)) as file:
        (root / "file").unlink()
        (root / "file").write_bytes(b"other")
        assert await file.read(100) == (b"old", True)


async def test_bytes_that_were_added_are_not_sent(root: Path):
    (root / "file").write_bytes(b"old")
    async with Directory(root).open(("file",)) as file:
        with (root / "file").open("ab") as more:
            more.write(b"new")
        assert await file.read(100) == (b"old", True)


def open_below(folder: Path) -> list[str]:
    # Other descriptors come and go with the threads of earlier tests.
    opened = (os.path.realpath(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd"))
    return [path for path in opened if path.startswith(str(folder))]


async def test_nothing_stays_open(root: Path):
    (root / "out").symlink_to("..")
    for path in (("boot.img",), ("pxe", "boot.img"), ("pxe",), ("none",), ("out", "secret")):
        try:
            await content(Directory(root), *path)
        except FileRefused:
            continue
    assert open_below(root.parent) == []


async def test_root_may_be_a_link(root: Path):
    (root.parent / "link").symlink_to(root)
    assert await content(Directory(root.parent / "link"), "pxe", "boot.img") == (
        b"in a sub-directory"
    )


async def test_link_that_appears_meanwhile_is_not_followed(root: Path):
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "boot.img").write_bytes(b"outside")
    (root / "link").symlink_to(outside)
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            for path, other in (("pxe", "kept"), ("link", "pxe"), ("pxe", "link"), ("kept", "pxe")):
                (root / path).rename(root / other)

    swapper = threading.Thread(target=swap)
    swapper.start()
    seen: set[bytes | int] = set()
    try:
        for _ in range(2000):
            try:
                seen.add(await content(Directory(root), "pxe", "boot.img"))
            except FileRefused as refusal:
                seen.add(refusal.code)
    finally:
        stop.set()
        swapper.join()
    assert b"in a sub-directory" in seen
    assert b"outside" not in seen


def test_directory_of_an_operator_is_read_directly(root: Path):
    assert files_of(AsyncOperator("fs", root=str(root))) == Directory(root)
    assert files_of(root) == Directory(root)


def test_any_other_operator_is_asked_itself():
    assert isinstance(files_of(AsyncOperator("memory")), Store)


async def refused(files: Files, *path: str) -> tuple[int, str]:
    with pytest.raises(FileRefused) as raised:
        await content(files, *path)
    return raised.value.code, raised.value.text


async def test_links_are_followed_only_below_the_root(root: Path):
    (root / "pxe" / "link").symlink_to("../boot.img")
    (root / "folder").symlink_to(root / "pxe")
    (root / "out").symlink_to("../secret")
    (root / "absolute").symlink_to("/etc/hostname")
    (root / "up").symlink_to("..")
    (root / "there and back").symlink_to("../root/boot.img")
    (root / "itself").symlink_to(".")
    files = Directory(root)
    assert len(await content(files, "pxe", "link")) == 1280
    assert len(await content(files, "there and back")) == 1280
    assert await content(files, "folder", "boot.img") == b"in a sub-directory"
    for path in (("out",), ("absolute",), ("up", "secret"), ("up",), ("up", "root", "out")):
        assert await refused(files, *path) == FORBIDDEN
    assert await refused(files, "itself") == NOT_A_FILE


async def test_only_regular_files_are_opened(root: Path):
    # Opening a FIFO that nobody writes would wait; opening a device may already do something.
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(root / "socket"))
        for name in ("fifo", "socket", "pxe"):
            assert await refused(Directory(root), name) == NOT_A_FILE
    for name in ("null", "zero", "tty"):
        assert await refused(Directory(Path("/dev")), name) == NOT_A_FILE


async def test_names_of_any_length(root: Path):
    (root / ("x" * 255)).write_bytes(b"long")
    (root / "loop").symlink_to("loop")
    (root / "itself").symlink_to(".")
    files = Directory(root)
    assert await content(files, "x" * 255) == b"long"
    assert len(await content(files, *["itself"] * 5000, "boot.img")) == 1280
    for path in (("x" * 256,), ("x" * 65000,), ("pxe",) * 9000, ("y",) * 30000, ("loop",)):
        assert await refused(files, *path) == NOT_FOUND
        assert await refused(Store(AsyncOperator("memory")), *path) == NOT_FOUND


async def test_names_are_bytes(root: Path):
    name = os.fsdecode(b"\xff\xfe")
    (root / name).write_bytes(b"odd")
    assert await content(Directory(root), name) == b"odd"


async def test_file_that_is_cut_is_an_error(root: Path):
    async with Directory(root).open(("boot.img",)) as file:
        os.truncate(root / "boot.img", 100)
        assert await file.read(4096) == (bytes(range(100)), False)
        with pytest.raises(FileRefused):
            await file.read(4096)
