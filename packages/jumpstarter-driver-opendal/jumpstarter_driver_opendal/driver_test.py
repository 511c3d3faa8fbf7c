"""The storage driver, through a real exporter and client, on real directories."""

import hashlib
import inspect
import logging
import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from jumpstarter.client.core import (
    DriverError,
    DriverInvalidArgument,
    DriverMethodNotImplemented,
)
from jumpstarter.common import ExporterStatus
from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter.common.utils import serve
from jumpstarter.config.exporter import ExporterConfigV1Alpha1, ExporterConfigV1Alpha1DriverInstance
from jumpstarter.exporter import Session
from jumpstarter.exporter.tree import instantiate_root

from jumpstarter_driver_opendal.client import OpendalClient
from jumpstarter_driver_opendal.conftest import serve_storage
from jumpstarter_driver_opendal.driver import Opendal

EXAMPLE = Path(__file__).parents[1] / "examples" / "exporter.yaml"

DATA = os.urandom(3 << 20) + b"end"


def temporary(root: Path) -> Opendal:
    """Return a driver that removes what was made."""
    return Opendal(scheme="fs", kwargs={"root": str(root)}, remove_created_on_close=True)


def run(client: OpendalClient, method: str, *args: object) -> object:
    """Call `method`, to its end where it is a generator."""
    result = getattr(client, method)(*args)
    return list(result) if inspect.isgenerator(result) else result


def test_bytes_come_back_as_they_were_written(storage: OpendalClient, root: Path) -> None:
    storage.write_bytes("sub/file", DATA)
    assert storage.read_bytes("sub/file") == DATA
    assert (root / "sub/file").read_bytes() == DATA


def test_empty_file_is_made(storage: OpendalClient, root: Path) -> None:
    storage.write_bytes("empty", b"")
    assert (root / "empty").read_bytes() == b""
    assert storage.read_bytes("empty") == b""


def test_local_file_goes_up_and_down(storage: OpendalClient, tmp_path: Path) -> None:
    (tmp_path / "up").write_bytes(DATA)
    storage.write_from_path("file", tmp_path / "up")
    storage.read_into_path("file", tmp_path / "down")
    assert (tmp_path / "down").read_bytes() == DATA


def test_memory_service_keeps_files() -> None:
    with serve_storage(Opendal(scheme="memory", kwargs={})) as client:
        client.write_bytes("dir/file", DATA)
        assert client.read_bytes("dir/file") == DATA
        assert sorted(client.scan("/")) == ["dir/file"]
        client.remove_all("dir")
        assert not client.exists("dir/file")


def test_stat_tells_size_and_kind(storage: OpendalClient) -> None:
    storage.write_bytes("dir/file", b"12345")
    file = storage.stat("dir/file")
    assert (file.content_length, file.mode.is_file(), file.mode.is_dir()) == (5, True, False)
    assert storage.stat("dir/").mode.is_dir()


def test_kind_of_an_entry_is_sent_under_the_names_that_release_0_9_0_reads(
    storage: OpendalClient,
) -> None:
    storage.write_bytes("file", b"")
    assert storage.call("stat", "file")["mode"] == {"entry_is_file": True, "entry_is_dir": False}


@pytest.mark.parametrize("algo", ["md5", "sha256"])
def test_hash_is_that_of_the_content(storage: OpendalClient, algo: str) -> None:
    storage.write_bytes("file", DATA)
    expected = hashlib.new(algo, DATA, usedforsecurity=False).hexdigest()
    assert storage.call("hash", "file", algo) == expected


def test_copy_and_rename(storage: OpendalClient) -> None:
    storage.write_bytes("a", b"1")
    storage.copy("a", "b")
    storage.rename("a", "c")
    assert sorted(storage.list("/")) == ["/", "b", "c"]
    assert (storage.read_bytes("b"), storage.read_bytes("c")) == (b"1", b"1")


def test_list_is_shallow_and_scan_is_deep(storage: OpendalClient) -> None:
    storage.write_bytes("dir/below/file", b"")
    assert sorted(storage.list("/")) == ["/", "dir/"]
    assert sorted(storage.list("dir/")) == ["dir/", "dir/below/"]
    assert sorted(storage.scan("/")) == ["/", "dir/", "dir/below/", "dir/below/file"]


def test_directory_is_made_with_or_without_a_slash(storage: OpendalClient, root: Path) -> None:
    storage.create_dir("a/b")
    storage.create_dir("c/")
    assert (root / "a/b").is_dir()
    assert (root / "c").is_dir()


def test_remove_all_takes_no_neighbour_whose_name_begins_alike(
    storage: OpendalClient, root: Path
) -> None:
    for name in ("a/file", "a/b/file", "ab", "abc/file"):
        storage.write_bytes(name, b"")
    storage.remove_all("a")
    assert sorted(os.listdir(root)) == ["ab", "abc"]


def test_remove_all_of_a_file_takes_only_the_file(storage: OpendalClient, root: Path) -> None:
    storage.write_bytes("a", b"")
    storage.write_bytes("ab", b"")
    storage.remove_all("a")
    assert os.listdir(root) == ["ab"]


def test_remove_all_of_the_root_leaves_it_usable(storage: OpendalClient, root: Path) -> None:
    storage.write_bytes("a/file", b"")
    storage.remove_all("/")
    assert os.listdir(root) == []
    storage.write_bytes("b", b"")
    assert os.listdir(root) == ["b"]


def test_delete_of_a_missing_file_is_no_error(storage: OpendalClient) -> None:
    storage.delete("missing")
    assert not storage.exists("missing")


def test_delete_of_a_directory_that_is_not_empty_is_refused(
    storage: OpendalClient, root: Path
) -> None:
    storage.write_bytes("a/file", b"")
    with pytest.raises(DriverError, match="delete 'a/': directory not empty"):
        storage.delete("a/")
    assert (root / "a/file").exists()


@pytest.mark.parametrize(
    "call",
    [
        ("delete", "/"),
        ("rename", "/", "a"),
        ("rename", "file", "/"),
        ("copy", "/", "a"),
        ("write_bytes", "/", b""),
        ("read_bytes", "."),
    ],
)
def test_root_is_no_file(
    storage: OpendalClient, root: Path, call: tuple[str, *tuple[object, ...]]
) -> None:
    (root / "file").touch()
    with pytest.raises(DriverError) as caught:
        run(storage, *call)
    assert "\n" not in caught.value.message
    assert os.listdir(root) == ["file"]


@pytest.mark.parametrize(
    "call",
    [
        ("read_bytes", "../secret"),
        ("write_bytes", "../secret", b"x"),
        ("read_bytes", "a/../../secret"),
        ("read_bytes", "..\\secret"),
        ("read_bytes", "link/secret"),
        ("write_bytes", "link/secret", b"x"),
        ("write_bytes", "link/new", b"x"),
        ("write_bytes", "dangling", b"x"),
        ("stat", "../secret"),
        ("hash", "../secret"),
        ("exists", "../secret"),
        ("delete", "../secret"),
        ("remove_all", ".."),
        ("remove_all", "link/"),
        ("create_dir", "../dir"),
        ("copy", "../secret", "here"),
        ("copy", "inside", "../secret"),
        ("rename", "../secret", "here"),
        ("rename", "inside", "link/secret"),
        ("list", "../"),
        ("list", "link/"),
        ("scan", ".."),
        ("presign_read", "../secret", 1),
        ("call", "register_path", "../secret"),
    ],
)
def test_path_out_of_the_root_is_refused(
    storage: OpendalClient, root: Path, tmp_path: Path, call: tuple[str, *tuple[object, ...]]
) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (root / "inside").write_bytes(b"inside")
    (root / "link").symlink_to(tmp_path)
    (root / "dangling").symlink_to(tmp_path / "new")
    with pytest.raises((DriverInvalidArgument, DriverError), match="out of the storage root"):
        run(storage, *call)
    assert (tmp_path / "secret").read_bytes() == b"secret"
    assert sorted(os.listdir(tmp_path)) == ["root", "secret"]
    assert sorted(os.listdir(root)) == ["dangling", "inside", "link"]


def test_link_inside_the_root_is_followed(storage: OpendalClient, root: Path) -> None:
    (root / "real").write_bytes(b"1")
    (root / "link").symlink_to("real")
    assert storage.read_bytes("link") == b"1"


def test_root_may_itself_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with serve_storage(temporary(tmp_path / "link")) as client:
        client.write_bytes("file", b"1")
        assert client.read_bytes("file") == b"1"
    assert os.listdir(tmp_path / "real") == []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (("read_bytes", "a"), "open 'a': no such file"),
        (("stat", "a/b"), "stat 'a/b': no such file"),
        (("hash", "a"), "open 'a': no such file"),
        (("copy", "a", "b"), "copy 'a': no such file"),
        (("rename", "a", "b"), "rename 'a': no such file"),
    ],
)
def test_missing_file_is_named_in_one_line(
    storage: OpendalClient, call: tuple[str, *tuple[object, ...]], message: str
) -> None:
    with pytest.raises(DriverError) as caught:
        run(storage, *call)
    assert message in caught.value.message
    assert "\n" not in caught.value.message


def test_operation_that_the_service_lacks_is_not_implemented() -> None:
    with serve_storage(Opendal(scheme="memory", kwargs={})) as client:
        client.write_bytes("a", b"")
        with pytest.raises(DriverMethodNotImplemented, match="copy 'a': this storage service"):
            client.copy("a", "b")


@pytest.mark.parametrize(
    ("method", "args", "message"),
    [
        ("open", ("a", "ab"), "open: argument 'mode'"),
        ("open", (5, "rb"), "open: argument 'path'"),
        ("open", ("a",), "open: missing a required argument: 'mode'"),
        ("hash", ("a", "sha1"), "hash: argument 'algo'"),
        ("file_tell", ("x",), "file_tell: argument 'fd'"),
        ("file_tell", (str(uuid4()),), "no file is open as"),
        ("file_read", (str(uuid4()), {"kind": "x"}), "file_read: argument 'dst'"),
        ("presign_read", ("a", 0), "presign_read: argument 'expire_second'"),
        ("presign_read", ("a", 1.5), "presign_read: argument 'expire_second'"),
        ("presign_read", ("a", "1"), "presign_read: argument 'expire_second'"),
        ("stat", ("a\0b",), "NUL"),
    ],
)
def test_wrong_argument_is_refused_by_name(
    storage: OpendalClient, method: str, args: tuple[object, ...], message: str
) -> None:
    with pytest.raises(DriverInvalidArgument) as caught:
        storage.call(method, *args)
    assert message in caught.value.message
    assert "\n" not in caught.value.message


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


def test_open_files_are_freed_at_the_end(root: Path) -> None:
    with serve_storage(Opendal(scheme="fs", kwargs={"root": str(root)})) as client:
        client.open("a", "wb")
        assert open_below(root) == ["a"]
    assert open_below(root) == []


# Offers a stream that stands still after one chunk, and says so.
VANISHING_CLIENT = """
import anyio
from anyio.abc import ObjectStream
from jumpstarter.common.utils import env

class Stalled(ObjectStream[bytes]):
    sent = False
    async def receive(self):
        if self.sent:
            print("stalled", flush=True)
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


def test_client_that_vanishes_in_a_transfer_leaves_nothing_open(root: Path) -> None:
    driver = Opendal(scheme="fs", kwargs={"root": str(root)})
    with Session(root_device=driver) as session, session.serve_unix() as path:
        session.update_status(ExporterStatus.LEASE_READY)
        with subprocess.Popen(
            [sys.executable, "-c", VANISHING_CLIENT],
            env={**os.environ, "JUMPSTARTER_HOST": str(path), "JMP_DRIVERS_ALLOW": "UNSAFE"},
            stdout=subprocess.PIPE,
            text=True,
        ) as client:
            assert client.stdout is not None
            assert client.stdout.readline() == "stalled\n"
            assert open_below(root) == ["cut"]
            client.kill()
    assert open_below(root) == []
    assert driver.resources == {}
    assert os.listdir(root) == []


def open_below(root: Path) -> list[str]:
    """Return the names of the files below `root` that this process has open."""
    links = (os.readlink(entry.path) for entry in os.scandir("/proc/self/fd") if entry.is_symlink())
    return sorted(Path(link).name for link in links if Path(link).is_relative_to(root))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("scheme: nonsense, kwargs: {}", "'nonsense': scheme is not enabled or supported"),
        ("scheme: fs, kwargs: {}", "'fs': root is not specified"),
        ("scheme: s3, kwargs: {}", "'s3': The bucket is misconfigured"),
        ("scheme: fs, kwargs: {root: /proc/none}", "'fs': create root dir failed"),
        ("scheme: fs", "kwargs"),
        ("scheme: fs, kwargs: [root]", "kwargs"),
        ("scheme: fs, kwargs: {root: /tmp}, typo: 1", "typo"),
    ],
)
def test_wrong_configuration_is_one_line(config: str, message: str) -> None:
    entry = ExporterConfigV1Alpha1DriverInstance.from_str(
        f"type: jumpstarter_driver_opendal.driver.Opendal\nconfig: {{{config}}}"
    )
    with pytest.raises(ConfigurationError) as caught:
        entry.instantiate()
    assert message in caught.value.message
    assert "\n" not in caught.value.message


def test_example_can_be_served(tmp_path: Path) -> None:
    text = EXAMPLE.read_text()
    assert text.count("/tmp/jumpstarter-storage") == 1  # noqa: S108 - the example's root
    config = tmp_path / "exporter.yaml"
    config.write_text(text.replace("/tmp/jumpstarter-storage", str(tmp_path / "root")))  # noqa: S108 - the example's root
    with serve(instantiate_root(ExporterConfigV1Alpha1.load_path(config))) as client:
        storage = client.children["storage"]
        assert isinstance(storage, OpendalClient)
        storage.write_bytes("file", b"1")
        assert (tmp_path / "root/file").exists()
    assert os.listdir(tmp_path / "root") == []
