"""The storage client and its open files, against a real exporter and a real web server."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest
from jumpstarter.client.core import DriverError, DriverInvalidArgument
from jumpstarter.common.exceptions import ArgumentError
from opendal import Operator

from jumpstarter_driver_opendal.client import OpendalClient
from jumpstarter_driver_opendal.common import Mode
from jumpstarter_driver_opendal.conftest import WebServer, serve_storage
from jumpstarter_driver_opendal.driver import Opendal

DATA = os.urandom((2 << 20) + 1)


def test_position_moves_with_reading_and_seeking(storage: OpendalClient) -> None:
    storage.write_bytes("file", b"0123456789")
    with storage.open("file", "rb") as file:
        assert (file.seek(3), file.tell(), file.seek(2, 1), file.seek(-4, 2)) == (3, 3, 5, 6)
        assert file.read_bytes() == b"6789"
        assert (file.read_bytes(), file.tell()) == (b"", 10)


def test_file_is_open_as_it_was_asked(storage: OpendalClient) -> None:
    with storage.open("file", "wb") as writing:
        assert (writing.readable(), writing.writable(), writing.seekable()) == (False, True, False)
    with storage.open("file", "rb") as reading:
        assert (reading.readable(), reading.writable(), reading.seekable()) == (True, False, True)


def test_closing_is_seen_and_can_be_repeated(storage: OpendalClient) -> None:
    file = storage.open("file", "wb")
    assert not file.closed
    file.close()
    file.close()
    assert file.closed
    with pytest.raises(DriverInvalidArgument, match="no file is open as"):
        file.tell()


def test_several_writes_follow_each_other(storage: OpendalClient) -> None:
    with storage.open("file", "wb") as file:
        file.write_bytes(b"1")
        file.write_bytes(b"")
        file.write_bytes(b"2")
    assert storage.read_bytes("file") == b"12"


@pytest.mark.parametrize(
    ("mode", "method", "args", "message"),
    [
        ("wb", "read_bytes", (), "read 'file': opened with mode 'wb'; use 'rb'"),
        ("rb", "write_bytes", (b"1",), "write 'file': opened with mode 'rb'"),
        ("wb", "tell", (), "tell 'file'"),
        ("wb", "seek", (0,), "seek 'file'"),
        ("rb", "seek", (-1,), "position -1 lies before"),
        ("rb", "seek", (0, 3), "argument 'whence'"),
        ("rb", "seek", ("1",), "argument 'pos'"),
    ],
)
def test_what_the_mode_does_not_allow_is_refused(
    storage: OpendalClient, mode: Mode, method: str, args: tuple[object, ...], message: str
) -> None:
    storage.write_bytes("file", b"0123")
    with (
        storage.open("file", mode) as file,
        pytest.raises(DriverInvalidArgument) as caught,
    ):
        getattr(file, method)(*args)
    assert message in caught.value.message
    assert "\n" not in caught.value.message


def test_paths_may_be_path_objects(storage: OpendalClient) -> None:
    storage.write_bytes(PurePosixPath("dir/file"), b"1")
    assert storage.exists(Path("dir/file"))
    assert storage.stat(Path("dir/file")).content_length == 1
    assert list(storage.list(Path("dir/file"))) == ["dir/file"]


def test_wrong_kind_of_data_is_refused_before_the_file_is_touched(storage: OpendalClient) -> None:
    storage.write_bytes("file", b"1")
    with pytest.raises(ValueError, match="write_bytes: argument 'data'"):
        storage.write_bytes("file", 5)  # pyright: ignore[reportArgumentType] - wrong on purpose
    assert storage.read_bytes("file") == b"1"


def test_missing_local_file_leaves_no_remote_one(storage: OpendalClient, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"missing': no such file"):
        storage.write_from_path("file", tmp_path / "missing")
    assert not storage.exists("file")


def test_missing_remote_file_leaves_no_local_one(storage: OpendalClient, tmp_path: Path) -> None:
    with pytest.raises(DriverError, match="open 'missing': no such file"):
        storage.read_into_path("missing", tmp_path / "down")
    assert not (tmp_path / "down").exists()


def test_local_directory_cannot_be_written_to(storage: OpendalClient, tmp_path: Path) -> None:
    storage.write_bytes("file", DATA)
    with pytest.raises(OSError, match="directory") as caught:
        storage.read_into_path("file", tmp_path)
    assert "\n" not in str(caught.value)


def test_exporter_fetches_a_web_address_itself(storage: OpendalClient, web: WebServer) -> None:
    web.files["/dir/a%20b?x=1&y=%2F"] = DATA
    storage.write_from_path("file", f"{web.url}/dir/a%20b?x=1&y=%2F")
    assert storage.read_bytes("file") == DATA
    assert web.requests == ["GET /dir/a%20b?x=1&y=%2F"]


def test_web_address_that_is_missing_is_an_error(storage: OpendalClient, web: WebServer) -> None:
    with pytest.raises(DriverError, match="404"):
        storage.write_from_path("file", f"{web.url}/missing")


def test_web_address_cannot_be_read_into(storage: OpendalClient, web: WebServer) -> None:
    storage.write_bytes("file", DATA)
    with pytest.raises(ArgumentError, match="cannot be written to"):
        storage.read_into_path("file", f"{web.url}/file")
    assert web.requests == []


def test_file_of_a_service_that_signs_is_fetched_by_the_exporter(
    storage: OpendalClient, web: WebServer
) -> None:
    web.files["/file"] = DATA
    storage.write_from_path("file", "file", operator=Operator("http", endpoint=web.url))
    assert storage.read_bytes("file") == DATA


def test_file_of_another_service_passes_through_the_client(
    storage: OpendalClient, tmp_path: Path
) -> None:
    operator = Operator("fs", root=str(tmp_path / "other"))
    (tmp_path / "other/up").write_bytes(DATA)
    storage.write_from_path("file", "up", operator=operator)
    storage.read_into_path("file", "down", operator=operator)
    assert (tmp_path / "other/down").read_bytes() == DATA


def test_web_service_signs_requests(web: WebServer) -> None:
    web.files["/file"] = b"12345"
    with serve_storage(Opendal(scheme="http", kwargs={"endpoint": web.url})) as client:
        request = client.presign_read("file", 60)
        assert (request.url, request.method) == (f"{web.url}/file", "GET")
        assert client.presign_stat("file", 60).method == "HEAD"
        assert client.read_bytes("file") == b"12345"
        assert client.stat("file").content_length == 5
        assert not client.exists("missing")


def test_capability_tells_what_the_service_can(storage: OpendalClient) -> None:
    capability = storage.capability()
    assert (capability.read, capability.copy, capability.list) == (True, True, True)
    assert (capability.presign_read, capability.write_multi_max_size) == (False, None)


def test_listing_can_be_left_early(storage: OpendalClient) -> None:
    for name in ("a", "b", "c"):
        storage.write_bytes(name, b"")
    entries = storage.list("/")
    assert next(entries) == "/"
    entries.close()
    assert len(list(storage.list("/"))) == 4


TRANSFER = """
import sys
from jumpstarter.common.utils import serve
from jumpstarter_driver_opendal.driver import Opendal

with serve(Opendal(scheme="fs", kwargs={"root": sys.argv[1] + "/root"})) as client:
    client.write_from_path("file", sys.argv[1] + "/up")
    client.read_into_path("file", sys.argv[1] + "/down")
"""


def test_terminal_shows_how_far_both_ways_are(tmp_path: Path) -> None:
    (tmp_path / "up").write_bytes(DATA)
    controller, terminal = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", TRANSFER, str(tmp_path)],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    ) as process:
        os.close(terminal)
        shown = read_terminal(controller)
        os.close(controller)
    assert process.returncode == 0, shown
    assert shown.count("100%") >= 2
    assert "2.0/2.0 MiB" in shown or "2.1/2.1 MB" in shown


def read_terminal(controller: int) -> str:
    """Return all that is written to a terminal until its last user has left."""
    shown = b""
    with contextlib.suppress(OSError):
        while chunk := os.read(controller, 4096):
            shown += chunk
    return shown.decode()


def test_importing_the_client_imports_no_driver() -> None:
    code = (
        "import sys, jumpstarter_driver_opendal.client\n"
        "print([name for name in sys.modules if name.endswith('.driver')"
        " or name.startswith('jumpstarter.exporter')])"
    )
    output = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert output.strip() == "[]"


def test_failed_write_leaves_no_part_of_a_file(storage: OpendalClient, web: WebServer) -> None:
    storage.write_bytes("file", b"old")
    with pytest.raises(DriverError):
        storage.write_from_path("file", f"{web.url}/missing")
    assert not storage.exists("file")
    assert storage.get_created_resources() == set()
