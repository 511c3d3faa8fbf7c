"""The driver through a real exporter session: its files, its server, and what it says."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from click.testing import CliRunner
from jumpstarter.client.core import DriverError
from jumpstarter.common.utils import serve
from pydantic import ValidationError

from jumpstarter_driver_tftp.client import TftpServerClient
from jumpstarter_driver_tftp.driver import Tftp, TftpError
from jumpstarter_driver_tftp.errors import TransferError
from jumpstarter_driver_tftp.requester import Location, Wishes, get


@pytest.fixture
def driver(tmp_path: Path) -> Generator[Tftp]:
    driver = Tftp(root_dir=str(tmp_path / "root"), host="127.0.0.1", port=0)
    yield driver
    driver.close()


@pytest.fixture
def client(driver: Tftp) -> Generator[TftpServerClient]:
    with serve(driver) as client:
        assert isinstance(client, TftpServerClient)
        yield client


def fetch(client: TftpServerClient, name: str) -> bytes:
    location = Location(client.get_host(), client.get_port(), name)
    return b"".join(piece.data for piece in get(location, Wishes(blksize=1428)))


def test_files_are_written_listed_and_deleted(client: TftpServerClient, tmp_path: Path):
    client.storage.write_bytes("boot.img", b"content")
    assert (tmp_path / "root" / "boot.img").read_bytes() == b"content"
    assert "boot.img" in list(client.storage.list("/"))
    client.storage.delete("boot.img")
    assert "boot.img" not in list(client.storage.list("/"))
    assert not (tmp_path / "root" / "boot.img").exists()


def test_uploaded_file_is_served_from_a_sub_directory(client: TftpServerClient):
    content = os.urandom(100_000)
    client.storage.create_dir("pxe/")
    client.storage.write_bytes("pxe/boot.img", content)
    client.start()
    assert fetch(client, "pxe/boot.img") == content
    with pytest.raises(TransferError, match="File not found"):
        fetch(client, "boot.img")


def test_configured_host_is_kept(tmp_path: Path):
    driver = Tftp(root_dir=str(tmp_path), host="192.0.2.7")
    assert driver.get_host() == "192.0.2.7"
    driver.close()


def test_host_is_found_when_none_is_configured(tmp_path: Path):
    driver = Tftp(root_dir=str(tmp_path))
    socket.inet_aton(driver.get_host())
    driver.close()


def test_root_directory_is_made(tmp_path: Path):
    root = tmp_path / "a" / "b"
    driver = Tftp(root_dir=str(root), host="127.0.0.1")
    assert root.is_dir()
    driver.close()
    assert root.is_dir()


def test_root_directory_that_cannot_be_made_is_named(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(TftpError, match=r"root_dir '.*/file/root': Not a directory"):
        Tftp(root_dir=str(tmp_path / "file" / "root"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"port": 65536},
        {"port": "x"},
        {"root": "/srv"},
        {"writable": "perhaps"},
        {"max_upload": 0},
        {"max_windowsize": 0},
        {"max_windowsize": 65536},
        {"views": {"10.0.0.0/33": "a"}},
        {"views": {"10.0.0.1/24": "a"}},
        {"views": {"board": "a"}},
        {"views": {"10.0.0.7": "../a"}},
        {"views": {"10.0.0.7": "/"}},
        {"max_transfers": 0},
        {"max_transfers_per_client": 0},
        {"max_requests_per_second": 0},
        {"max_requests_per_second": float("nan")},
        {"max_request_burst": 0},
    ],
    ids=str,
)
def test_wrong_configuration_is_refused(tmp_path: Path, wrong: dict[str, object]):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Tftp.__call__(root_dir=str(tmp_path), **wrong)


def test_start_answers_at_once_and_stop_frees_the_port(client: TftpServerClient, driver: Tftp):
    client.storage.write_bytes("f", b"x")
    assert client.get_port() == 0
    client.start()
    port = client.get_port()
    assert port != 0
    assert driver.server is not None
    assert fetch(client, "f") == b"x"
    client.stop()
    assert driver.server is None
    assert client.get_port() == 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", port))


def test_server_can_be_started_again(client: TftpServerClient):
    client.storage.write_bytes("f", b"x")
    for _ in range(3):
        client.start()
        assert fetch(client, "f") == b"x"
        client.stop()


def test_second_start_only_warns(
    client: TftpServerClient, driver: Tftp, caplog: pytest.LogCaptureFixture
):
    client.start()
    server, port = driver.server, client.get_port()
    client.start()
    assert (driver.server, client.get_port()) == (server, port)
    assert "TFTP server is already running" in caplog.text


def test_stop_without_start_only_warns(client: TftpServerClient, caplog: pytest.LogCaptureFixture):
    client.stop()
    assert "TFTP server is not running" in caplog.text


def test_close_stops_and_removes_uploads(tmp_path: Path):
    (tmp_path / "kept").write_bytes(b"there before")
    driver = Tftp(root_dir=str(tmp_path), host="127.0.0.1", port=0)
    with serve(driver) as client:
        assert isinstance(client, TftpServerClient)
        client.storage.write_bytes("uploaded", b"x")
        client.start()
        port = client.get_port()
    assert driver.server is None
    assert sorted(tmp_path.iterdir()) == [tmp_path / "kept"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", port))


def test_uploads_are_kept_when_so_configured(tmp_path: Path):
    driver = Tftp(root_dir=str(tmp_path), host="127.0.0.1", port=0, remove_created_on_close=False)
    with serve(driver) as client:
        assert isinstance(client, TftpServerClient)
        client.storage.write_bytes("uploaded", b"x")
    assert (tmp_path / "uploaded").read_bytes() == b"x"


def test_port_in_use_is_an_error_with_a_hint(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        driver = Tftp(root_dir=str(tmp_path), host="127.0.0.1", port=port)
        words = rf"udp://127\.0\.0\.1:{port}: the port is in use.*set another 'port'"
        with pytest.raises(TftpError, match=words):
            driver.start()
        assert driver.server is None
        with serve(driver) as client:
            assert isinstance(client, TftpServerClient)
            with pytest.raises(DriverError, match="the port is in use"):
                client.start()
        assert "Traceback" not in caplog.text
    driver.start()
    assert driver.get_port() == port
    driver.close()


def test_address_of_another_machine_is_an_error_with_a_hint(tmp_path: Path):
    driver = Tftp(root_dir=str(tmp_path), host="192.0.2.7", port=0)
    with pytest.raises(TftpError, match=r"192\.0\.2\.7:0: no network interface .*'host'"):
        driver.start()
    driver.close()


def test_unknown_host_is_an_error_with_a_hint(tmp_path: Path):
    driver = Tftp(root_dir=str(tmp_path), host="nowhere.invalid", port=0)
    with pytest.raises(TftpError, match=r"nowhere\.invalid:0: the host is not known"):
        driver.start()
    driver.close()


PRIVILEGED = """
import sys
from jumpstarter_driver_tftp.driver import Tftp, TftpError
driver = Tftp(root_dir=sys.argv[1], host="127.0.0.1", port=69)
try:
    driver.start()
    print("listens on", driver.get_port())
except TftpError as error:
    print(error)
finally:
    driver.close()
"""


def test_port_below_1024_without_permission_is_an_error_with_a_hint(tmp_path: Path):
    first = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text(encoding="ascii")
    guarded = int(first) > 69  # containers often let everybody have every port
    expected = r"udp://127\.0\.0\.1:69: not permitted.*CAP_NET_BIND" if guarded else "listens on 69"
    capability = "-net_bind_service"
    drop = ["setpriv", f"--bounding-set={capability}", f"--inh-caps={capability}"]
    python = [sys.executable, "-c", PRIVILEGED, str(tmp_path)]
    done = subprocess.run(
        [*drop, *python] if os.geteuid() == 0 else python,
        capture_output=True,
        text=True,
        check=False,
    )
    assert re.search(expected, done.stdout), done


def run(client: TftpServerClient, *arguments: str) -> str:
    result = CliRunner().invoke(client.cli(), list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_commands(client: TftpServerClient):
    client.storage.write_bytes("f", b"x")
    url = run(client, "start").strip()
    port = run(client, "get-port").strip()
    assert run(client, "get-host").strip() == "127.0.0.1"
    assert url == f"tftp://127.0.0.1:{port}/"
    assert fetch(client, "f") == b"x"
    assert run(client, "storage", "list", "/").split() == ["/", "f"]
    run(client, "stop")
    assert run(client, "get-port").strip() == "0"
    help_text = run(client, "--help")
    for command in ("start", "stop", "get-host", "get-port", "storage"):
        assert command in help_text


def test_description_replaces_the_help(tmp_path: Path):
    driver = Tftp(
        root_dir=str(tmp_path),
        host="127.0.0.1",
        port=0,
        description="Boot images",
        methods_description={"start": "Let the board boot"},
    )
    with serve(driver) as client:
        assert isinstance(client, TftpServerClient)
        help_text = run(client, "--help")
    assert "Boot images" in help_text
    assert "Let the board boot" in help_text


def test_large_file_goes_through_storage_and_server_unchanged(client: TftpServerClient):
    content = os.urandom(9 << 20)
    client.storage.write_bytes("image", content)
    client.start()
    assert fetch(client, "image") == content
