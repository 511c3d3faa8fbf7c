"""Files as they are written into directories."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from pathlib import Path

import anyio
import pytest
from opendal import AsyncOperator

from jumpstarter_driver_tftp import drafts
from jumpstarter_driver_tftp.conftest import PATIENCE
from jumpstarter_driver_tftp.errors import FileRefused
from jumpstarter_driver_tftp.files import Directory
from jumpstarter_driver_tftp.files_test import content, open_below
from jumpstarter_driver_tftp.names import UNFINISHED
from jumpstarter_driver_tftp.packet import TftpErrorCode
from jumpstarter_driver_tftp.stores import Store
from jumpstarter_driver_tftp.writing import GATHERED_BYTES, create
from jumpstarter_driver_tftp.writing_test import (
    BEFORE,
    DISK_FULL,
    EXISTS,
    FORBIDDEN,
    MIB,
    NOT_A_FILE,
    files_up_to,
    names,
    refusal,
    write,
)


@pytest.fixture(params=["nameless", "named", "named without links"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whether the file system knows files without names, and hard links."""
    if request.param != "nameless":
        monkeypatch.setattr(drafts, "_NAMELESS", None)
    if request.param == "named without links":

        def no_links(*_: object, **__: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", no_links)
    return request.param


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("size", [0, 1, GATHERED_BYTES, GATHERED_BYTES + 1, 1_000_000])
async def test_file_is_as_it_was_written(root: Path, size: int):
    data = os.urandom(size)
    await write(Directory(root), "new", data=data)
    assert (root / "new").read_bytes() == data
    assert names(root) == sorted([*BEFORE, "new"])
    assert open_below(root.parent) == []


@pytest.mark.usefixtures("way")
async def test_file_is_for_all_to_read_as_far_as_the_umask_lets(root: Path):
    for mask, mode in ((0o022, 0o644), (0o077, 0o600), (0, 0o644)):
        before = os.umask(mask)
        try:
            await write(Directory(root), f"new{mask}")
        finally:
            os.umask(before)
        assert (root / f"new{mask}").stat().st_mode & 0o777 == mode


@pytest.mark.usefixtures("way")
async def test_file_appears_when_it_is_complete(root: Path):
    files = Directory(root)
    async with create(files, ("pxe", "new"), overwrite=False, max_bytes=MIB) as upload:
        await upload.write(b"x" * (GATHERED_BYTES + 1))
        assert not (root / "pxe" / "new").exists()
        for name in os.listdir(root / "pxe"):
            if name != "boot.img":
                with pytest.raises(FileRefused) as refused:
                    await content(files, "pxe", name)
                assert refused.value.code == TftpErrorCode.FILE_NOT_FOUND
        await upload.complete()
        assert (root / "pxe" / "new").stat().st_size == GATHERED_BYTES + 1
    assert names(root) == sorted([*BEFORE, "pxe/new"])


async def leave_early() -> None:
    raise KeyError


@pytest.mark.usefixtures("way")
async def test_interrupted_file_leaves_nothing(root: Path):
    files = Directory(root)
    async with create(files, ("new",), overwrite=False, max_bytes=MIB) as upload:
        await upload.write(b"x" * (GATHERED_BYTES + 1))
    data = b"x" * (GATHERED_BYTES + 1)
    with pytest.raises(KeyError):
        await write(files, "boot.img", data=data, overwrite=True, meanwhile=leave_early)
    with anyio.CancelScope() as scope:
        async with create(files, ("new",), overwrite=False, max_bytes=MIB) as upload:
            scope.cancel()
            await upload.write(b"x" * (GATHERED_BYTES + 1))
    assert scope.cancelled_caught
    assert names(root) == BEFORE
    assert (root / "boot.img").stat().st_size == 1280
    assert open_below(root.parent) == []


@pytest.mark.usefixtures("way")
async def test_task_cancelled_in_a_write_leaves_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch
):
    began, go_on = threading.Event(), threading.Event()
    real_write = os.write

    def slow_write(descriptor: int, data: memoryview) -> int:
        began.set()
        assert go_on.wait(PATIENCE)
        return real_write(descriptor, data)

    async with asyncio.TaskGroup() as tasks:
        with monkeypatch.context() as patched:
            patched.setattr(os, "write", slow_write)
            writing = tasks.create_task(write(Directory(root), "new", data=b"x" * GATHERED_BYTES))
            await asyncio.to_thread(began.wait, PATIENCE)
            writing.cancel()
            await asyncio.sleep(0)
            go_on.set()
            await asyncio.wait([writing], timeout=PATIENCE)
    assert writing.cancelled()
    assert names(root) == BEFORE
    assert open_below(root.parent) == []


KILLED = """
import os, signal, sys
import anyio
from pathlib import Path
from jumpstarter_driver_tftp.files import Directory
from jumpstarter_driver_tftp.writing import create

async def main() -> None:
    files = Directory(Path(sys.argv[1]))
    async with create(files, ("new",), overwrite=False, max_bytes=1 << 30) as upload:
        await upload.write(bytes(1 << 20))
        os.kill(os.getpid(), signal.SIGKILL)

anyio.run(main)
"""


async def test_killed_process_leaves_nothing(root: Path):
    done = await anyio.run_process([sys.executable, "-c", KILLED, str(root)], check=False)
    assert done.returncode == -9, done.stderr
    assert names(root) == BEFORE


async def test_what_a_killed_process_may_leave_is_never_served(root: Path):
    left = UNFINISHED + "0"
    (root / left).write_bytes(b"partial")
    (root / "link").symlink_to(left)
    for name in (left, "link"):
        with pytest.raises(FileRefused) as refused:
            await content(Directory(root), name)
        assert refused.value.code == TftpErrorCode.FILE_NOT_FOUND
    assert await refusal(write(Directory(root), left, overwrite=True)) == FORBIDDEN
    assert await refusal(write(Store(AsyncOperator("memory")), left, overwrite=True)) == FORBIDDEN


@pytest.mark.usefixtures("way")
async def test_existing_file_is_kept(root: Path):
    assert await refusal(write(Directory(root), "boot.img")) == EXISTS
    assert (root / "boot.img").stat().st_size == 1280
    assert names(root) == BEFORE


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("target", ["", "boot.img", "none"])
async def test_whatever_appears_meanwhile_is_kept(root: Path, target: str):
    async def appear() -> None:
        if target:
            (root / "new").symlink_to(target)
        else:
            (root / "new").write_bytes(b"first")

    assert await refusal(write(Directory(root), "new", meanwhile=appear)) == EXISTS
    if target:
        assert os.readlink(root / "new") == target
    else:
        assert (root / "new").read_bytes() == b"first"
    assert (root / "boot.img").stat().st_size == 1280
    assert names(root) == sorted([*BEFORE, "new"])


@pytest.mark.usefixtures("way")
async def test_of_many_that_write_one_name_one_succeeds(root: Path):
    files = Directory(root)
    written: list[bytes] = []
    refused: list[tuple[int, str]] = []

    async def compete(data: bytes) -> None:
        try:
            await write(files, "new", data=data)
        except FileRefused as refusal:
            refused.append((refusal.code, refusal.text))
        else:
            written.append(data)

    async with anyio.create_task_group() as tasks:
        for number in range(30):
            tasks.start_soon(compete, bytes([number]) * 10_000)
    assert refused == [EXISTS] * 29
    assert written == [(root / "new").read_bytes()]
    assert names(root) == sorted([*BEFORE, "new"])


@pytest.mark.usefixtures("way")
async def test_existing_file_is_replaced_when_that_is_allowed(root: Path):
    async with Directory(root).open(("boot.img",)) as read:
        await write(Directory(root), "boot.img", overwrite=True)
        assert len((await read.read(5000))[0]) == 1280
    assert (root / "boot.img").read_bytes() == b"new"
    await write(Directory(root), "other", overwrite=True)
    assert names(root) == sorted([*BEFORE, "other"])


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_folder(path: Path) -> None:
    path.mkdir()


def make_link(path: Path) -> None:
    path.symlink_to("boot.img")


def make_dangling_link(path: Path) -> None:
    path.symlink_to("none")


def make_outer_link(path: Path) -> None:
    path.symlink_to("../secret")


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    "make", [make_fifo, make_folder, make_link, make_dangling_link, make_outer_link]
)
async def test_only_a_regular_file_is_replaced(root: Path, make: Callable[[Path], None]):
    make(root / "there")
    before = os.lstat(root / "there")
    assert await refusal(write(Directory(root), "there")) == EXISTS
    assert await refusal(write(Directory(root), "there", overwrite=True)) == NOT_A_FILE

    async def appear() -> None:
        (root / "there").rename(root / "new")

    late = write(Directory(root), "new", overwrite=True, meanwhile=appear)
    assert await refusal(late) == NOT_A_FILE
    assert os.lstat(root / "new").st_ino == before.st_ino
    assert (root.parent / "secret").read_bytes() == b"outside"
    assert names(root) == sorted([*BEFORE, "new"])


async def test_device_is_not_replaced():
    assert await refusal(write(Directory(Path("/dev")), "null")) == EXISTS
    assert await refusal(write(Directory(Path("/dev")), "null", overwrite=True)) == NOT_A_FILE


async def test_links_that_stay_below_the_root_are_followed_on_the_way(root: Path):
    (root / "link").symlink_to("pxe")
    await write(Directory(root), "link", "new")
    assert (root / "pxe" / "new").read_bytes() == b"new"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (("out", "new"), TftpErrorCode.ACCESS_VIOLATION),
        (("none", "new"), TftpErrorCode.FILE_NOT_FOUND),
        (("boot.img", "new"), TftpErrorCode.FILE_NOT_FOUND),
        (("loop", "new"), TftpErrorCode.FILE_NOT_FOUND),
        (("x" * 300, "new"), TftpErrorCode.NOT_DEFINED),
        (("x" * 300,), TftpErrorCode.NOT_DEFINED),
        (("d",) * 5000, TftpErrorCode.FILE_NOT_FOUND),
    ],
)
async def test_place_that_is_none(root: Path, path: tuple[str, ...], code: int):
    (root / "out").symlink_to("..")
    (root / "loop").symlink_to("loop")
    assert (await refusal(write(Directory(root), *path, overwrite=True)))[0] == code
    assert names(root) == sorted([*BEFORE, "loop", "out"])
    assert sorted(os.listdir(root.parent)) == ["root", "secret"]


async def test_link_that_appears_meanwhile_is_not_followed(root: Path):
    outside = root.parent / "outside"
    outside.mkdir()
    (root / "link").symlink_to(outside)
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            for path, other in (("pxe", "kept"), ("link", "pxe"), ("pxe", "link"), ("kept", "pxe")):
                (root / path).rename(root / other)

    swapper = threading.Thread(target=swap)
    swapper.start()
    written = 0
    try:
        for number in range(1000):
            try:
                await write(Directory(root), "pxe", f"new{number}")
                written += 1
            except FileRefused:
                continue
    finally:
        stop.set()
        swapper.join()
    assert written
    assert os.listdir(outside) == []
    assert len(os.listdir(root / "pxe")) == written + 1


async def test_place_without_permission():
    # What the kernel gives to all is closed even to root.
    assert await refusal(write(Directory(Path("/sys/kernel")), "new")) == FORBIDDEN


def mount_small(path: Path) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "small", str(path)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture(params=["limit", "disk"])
def small(root: Path, request: pytest.FixtureRequest) -> Generator[Path]:
    """A directory that takes no more than 1 MiB; a limit does for it where nothing is mounted."""
    path = root / "small"
    path.mkdir()
    if request.param == "disk" and mount_small(path):
        try:
            yield path
        finally:
            subprocess.run(["umount", "-l", str(path)], check=True)
    else:
        with files_up_to(MIB):
            yield path


@pytest.mark.usefixtures("way")
async def test_disk_is_full(small: Path):
    refused = await refusal(write(Directory(small), "new", data=bytes(3 * MIB), max_bytes=8 * MIB))
    assert refused == DISK_FULL
    assert names(small) == []
    # Also when only the last bytes are too many.
    almost = bytes(MIB + 1)
    assert (
        await refusal(write(Directory(small), "new", data=almost, max_bytes=8 * MIB)) == DISK_FULL
    )
    assert names(small) == []
    await write(Directory(small), "new", data=bytes(MIB // 2))


async def test_loop_goes_on_while_a_disk_is_slow(root: Path, monkeypatch: pytest.MonkeyPatch):
    began, go_on = threading.Event(), threading.Event()
    real_write = os.write
    threads: list[int] = []

    def slow_write(descriptor: int, data: memoryview) -> int:
        began.set()
        assert go_on.wait(PATIENCE)  # which only the loop can make true
        threads.append(threading.get_ident())
        return real_write(descriptor, data)

    async def release() -> None:
        await asyncio.to_thread(began.wait, PATIENCE)
        go_on.set()

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", slow_write)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(release)
            await write(Directory(root), "new", data=bytes(GATHERED_BYTES + 700), max_bytes=MIB)
    # One hop for what was gathered, not one for each of 188 blocks.
    assert 0 < len(threads) <= 2
    assert threading.get_ident() not in threads
