"""What a session leaves behind: files that it made, and files that were open."""

import contextlib
import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from uuid import UUID

import pytest
from jumpstarter.client.core import DriverError
from jumpstarter.common import ExporterStatus
from jumpstarter.common.resources import Resource
from jumpstarter.driver import export
from jumpstarter.exporter import Session

from jumpstarter_driver_opendal.client import OpendalClient
from jumpstarter_driver_opendal.conftest import serve_storage
from jumpstarter_driver_opendal.driver import Opendal

DATA = os.urandom(3 << 20)


def temporary(root: Path) -> Opendal:
    """Return a driver that removes what was made."""
    return Opendal(scheme="fs", kwargs={"root": str(root)}, remove_created_on_close=True)


def test_created_paths_are_those_of_this_session(storage: OpendalClient, root: Path) -> None:
    (root / "before").mkdir()
    storage.create_dir("before/")
    storage.create_dir("dir")
    storage.write_bytes("/file", b"")
    storage.copy("file", "copy")
    storage.copy("file", "gone")
    storage.delete("gone")
    storage.rename("file", "renamed")
    storage.call("register_path", "registered\\by/./hand/")
    assert storage.get_created_resources() == {"dir", "copy", "renamed", "registered/by/hand"}


def test_failed_creation_is_not_remembered(storage: OpendalClient, root: Path) -> None:
    (root / "dir").mkdir()
    with pytest.raises(DriverError):
        storage.open("dir/", "wb")
    with pytest.raises(DriverError):
        storage.copy("missing", "copy")
    assert storage.get_created_resources() == set()


def test_created_paths_are_removed_at_the_end(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "before").mkdir(parents=True)
    (root / "before/file").touch()
    with serve_storage(temporary(root)) as client:
        client.create_dir("before")
        client.write_bytes("before/new", b"")
        client.write_bytes("pxe/deep/boot.img", b"")
        client.create_dir("dir")
        (root / "dir/by-other-means").touch()
        client.write_bytes("renamed", b"")
        client.rename("renamed", "target")
    assert sorted(str(path.relative_to(root)) for path in root.rglob("*")) == [
        "before",
        "before/file",
    ]


def test_created_paths_stay_unless_told(storage: OpendalClient, root: Path) -> None:
    storage.write_bytes("file", b"")
    storage.close()
    assert (root / "file").exists()


def test_other_services_only_warn_of_what_stays(caplog: pytest.LogCaptureFixture) -> None:
    driver = Opendal(scheme="memory", kwargs={}, remove_created_on_close=True)
    with caplog.at_level(logging.WARNING), serve_storage(driver) as client:
        client.write_bytes("file", b"")
    assert "left in 'memory': file" in caplog.text


async def test_exporter_copies_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "own").write_bytes(DATA)
    driver = temporary(tmp_path / "root")
    await driver.copy_exporter_file(tmp_path / "own", "sub/copy")
    assert (tmp_path / "root/sub/copy").read_bytes() == DATA
    assert await driver.get_created_resources() == {"sub/copy"}
    driver.close()
    assert os.listdir(tmp_path / "root") == []


async def test_exporter_copies_nothing_out_of_the_root(tmp_path: Path) -> None:
    (tmp_path / "own").write_bytes(DATA)
    with pytest.raises(ValueError, match="out of the storage root"):
        await temporary(tmp_path / "root").copy_exporter_file(tmp_path / "own", "../copy")


def test_open_files_are_finished_at_the_end(root: Path) -> None:
    with serve_storage(Opendal(scheme="fs", kwargs={"root": str(root)})) as client:
        client.open("a", "wb")
        client.open("b", "wb").write_bytes(DATA)
        assert open_below(root) == ["a", "b"]
    assert all_closed(root)
    assert [(root / name).read_bytes() for name in ("a", "b")] == [b"", DATA]


def test_file_that_cannot_be_finished_at_the_end_is_logged(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root.mkdir()
    os.mkfifo(root / "pipe")
    reader = os.open(root / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    with serve_storage(Opendal(scheme="fs", kwargs={"root": str(root)})) as client:
        client.open("pipe", "wb").write_bytes(b"1")
        os.close(reader)
    assert "a file was left open, and cannot be closed: close 'pipe'" in caplog.text


# Offers a stream that stands still after one chunk.
VANISHING_CLIENT = """
import anyio
from anyio.abc import ObjectStream
from jumpstarter.common.utils import env

class Stalled(ObjectStream[bytes]):
    sent = False
    async def receive(self):
        if self.sent:
            await anyio.sleep_forever()
        self.sent = True
        return b"x" * 100_000
    async def send(self, item): ...
    async def send_eof(self): ...
    async def aclose(self): ...

with env() as client:
    fd = client.open("cut", "wb").fd
    with client.portal.wrap_async_context_manager(client.resource_async(Stalled())) as handle:
        client.call("file_write", fd, handle)
"""


class WatchedStorage(Opendal):
    """Tells when a client has begun to write."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.writing = threading.Event()

    @export
    async def file_write(self, fd: UUID, src: Resource) -> None:
        self.writing.set()
        await super().file_write(fd, src)


def test_client_that_vanishes_in_a_transfer_leaves_nothing(root: Path) -> None:
    driver = WatchedStorage(scheme="fs", kwargs={"root": str(root)})
    with Session(root_device=driver) as session, session.serve_unix() as path:
        session.update_status(ExporterStatus.LEASE_READY)
        with subprocess.Popen(
            [sys.executable, "-c", VANISHING_CLIENT],
            env={**os.environ, "JUMPSTARTER_HOST": str(path), "JMP_DRIVERS_ALLOW": "UNSAFE"},
        ) as client:
            assert driver.writing.wait(30)
            assert open_below(root) == ["cut"]
            client.kill()
    assert all_closed(root)
    assert driver.resources == {}
    assert os.listdir(root) == []


def open_below(root: Path) -> list[str]:
    """Return the names of the files below `root` that this process has open."""
    names: list[str] = []
    for descriptor in os.listdir("/proc/self/fd"):
        # The descriptor that listed the directory is closed by now, and others may be.
        with contextlib.suppress(FileNotFoundError):
            link = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
            if link.is_relative_to(root):
                names.append(link.name)
    return sorted(names)


def all_closed(root: Path) -> bool:
    """Return whether the files below `root` are closed within five seconds.

    The storage library closes them in threads of its own, which tell nobody.
    """
    deadline = time.monotonic() + 5
    while open_below(root):
        if time.monotonic() > deadline:
            return False
        threading.Event().wait(0.01)
    return True
