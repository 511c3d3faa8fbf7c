"""The storage driver, through a real exporter and client, on real directories."""

import hashlib
import inspect
import os
from pathlib import Path
from uuid import uuid4

import pytest
from jumpstarter.client.core import (
    DriverError,
    DriverInvalidArgument,
    DriverMethodNotImplemented,
)
from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter.common.utils import serve
from jumpstarter.config.exporter import ExporterConfigV1Alpha1, ExporterConfigV1Alpha1DriverInstance
from jumpstarter.exporter.tree import instantiate_root

from jumpstarter_driver_opendal.client import OpendalClient
from jumpstarter_driver_opendal.conftest import serve_storage
from jumpstarter_driver_opendal.driver import Opendal

EXAMPLE = Path(__file__).parents[1] / "examples" / "exporter.yaml"

DATA = os.urandom(3 << 20) + b"end"


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
    with serve_storage(Opendal(scheme="fs", kwargs={"root": str(tmp_path / "link")})) as client:
        client.write_bytes("file", b"1")
        assert client.read_bytes("file") == b"1"
    assert os.listdir(tmp_path / "real") == ["file"]


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
