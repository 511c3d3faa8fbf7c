"""The storage's command line, through click, a real client and a real exporter."""

import hashlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from jumpstarter_driver_opendal.client import OpendalClient
from jumpstarter_driver_opendal.conftest import WebServer, serve_storage
from jumpstarter_driver_opendal.driver import Opendal

BINARY = bytes(range(256)) * 5


def run(client: OpendalClient, *args: str, data: bytes = b"") -> Result:
    return CliRunner().invoke(client.cli(), args, input=data)


def ok(client: OpendalClient, *args: str, data: bytes = b"") -> str:
    result = run(client, *args, data=data)
    assert (result.exit_code, result.exception) == (0, None)
    return result.output


def test_standard_input_and_output_carry_bytes(storage: OpendalClient) -> None:
    assert ok(storage, "write-bytes", "dir/file", data=BINARY) == ""
    result = run(storage, "read-bytes", "dir/file")
    assert (result.exit_code, result.stdout_bytes) == (0, BINARY)


def test_files_go_up_and_down(storage: OpendalClient, tmp_path: Path) -> None:
    (tmp_path / "up").write_bytes(BINARY)
    assert ok(storage, "write-from-path", "file", f"{tmp_path}/up") == ""
    assert ok(storage, "read-into-path", "file", f"{tmp_path}/down") == ""
    assert (tmp_path / "down").read_bytes() == BINARY


def test_stat_is_json_with_the_public_names(storage: OpendalClient) -> None:
    storage.write_bytes("file", BINARY)
    stat = json.loads(ok(storage, "stat", "file"))
    assert stat["content_length"] == len(BINARY)
    assert stat["mode"] == {"is_file": True, "is_dir": False}


def test_hash_is_printed(storage: OpendalClient) -> None:
    storage.write_bytes("file", BINARY)
    md5 = hashlib.md5(BINARY, usedforsecurity=False).hexdigest()
    assert ok(storage, "hash", "file") == hashlib.sha256(BINARY).hexdigest() + "\n"
    assert ok(storage, "hash", "--algo", "md5", "file") == md5 + "\n"


def test_entries_are_listed_one_per_line(storage: OpendalClient) -> None:
    storage.write_bytes("dir/file", b"")
    assert sorted(ok(storage, "list", "/").splitlines()) == ["/", "dir/"]
    assert sorted(ok(storage, "scan", "dir/").splitlines()) == ["dir/", "dir/file"]


def test_entries_are_changed(storage: OpendalClient, root: Path) -> None:
    storage.write_bytes("a", BINARY)
    for args in (
        ("create-dir", "dir"),
        ("copy", "a", "dir/b"),
        ("rename", "a", "c"),
        ("delete", "c"),
        ("create-dir", "other/deep"),
        ("remove-all", "other"),
    ):
        assert ok(storage, *args) == ""
    assert sorted(str(path.relative_to(root)) for path in root.rglob("*")) == ["dir", "dir/b"]


def test_exists_answers_by_its_exit_code(storage: OpendalClient) -> None:
    storage.write_bytes("file", b"")
    assert ok(storage, "exists", "file") == ""
    result = run(storage, "exists", "missing")
    assert result.exit_code == 1
    assert result.output == "Error: missing does not exist in the storage\n"


def test_capability_is_json(storage: OpendalClient) -> None:
    capability = json.loads(ok(storage, "capability"))
    assert (capability["read"], capability["presign"]) == (True, False)


@pytest.mark.parametrize(("command", "method"), [("presign-read", "GET"), ("presign-stat", "HEAD")])
def test_signed_request_is_json(web: WebServer, command: str, method: str) -> None:
    with serve_storage(Opendal(scheme="http", kwargs={"endpoint": web.url})) as client:
        request = json.loads(ok(client, command, "file", "--expire-second", "60"))
    assert request == {"url": f"{web.url}/file", "method": method, "headers": {}}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("hash", "--algo", "sha1", "a"), "sha1"),
        (("presign-read", "a"), "--expire-second"),
        (("presign-write", "a", "--expire-second", "0"), "0 is not in the range"),
        (("stat",), "PATH"),
    ],
)
def test_wrong_usage_is_an_error(
    storage: OpendalClient, args: tuple[str, ...], message: str
) -> None:
    result = run(storage, *args)
    assert result.exit_code == 2
    assert message in result.output


def test_every_method_has_a_command(storage: OpendalClient) -> None:
    assert sorted(storage.cli().commands) == [
        "capability",
        "copy",
        "create-dir",
        "delete",
        "exists",
        "hash",
        "list",
        "presign-read",
        "presign-stat",
        "presign-write",
        "read-bytes",
        "read-into-path",
        "remove-all",
        "rename",
        "scan",
        "stat",
        "write-bytes",
        "write-from-path",
    ]


def test_help_comes_from_the_configuration(tmp_path: Path) -> None:
    driver = Opendal(
        scheme="fs",
        kwargs={"root": str(tmp_path)},
        description="Boot images",
        methods_description={"list": "Show the images", "write-from-path": "Add an image"},
    )
    with serve_storage(driver) as client:
        output = ok(client, "--help")
    assert all(text in output for text in ("Boot images", "Show the images", "Add an image"))
