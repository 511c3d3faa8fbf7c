"""What the fields of the driver do, as an exporter's file gives them."""

import socket
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter.common.utils import serve
from jumpstarter.config.exporter import ExporterConfigV1Alpha1DriverInstance
from jumpstarter_driver_composite.client import CompositeClient

from jumpstarter_driver_tftp.client import TftpServerClient
from jumpstarter_driver_tftp.errors import TransferError
from jumpstarter_driver_tftp.requester import Location, Wishes, get, put

TFTP = "{type: jumpstarter_driver_tftp.driver.Tftp, config: {host: 127.0.0.1, port: 0, %s}}"
MEMORY = "{type: jumpstarter_driver_opendal.driver.Opendal, config: {scheme: memory, kwargs: {}}}"
OVER_MEMORY = TFTP.replace("}}", "}, children: {storage: %s}}")


@contextmanager
def exported(text: str) -> Generator[TftpServerClient]:
    """Serve what an exporter's file describes, and start its TFTP server."""
    with serve(ExporterConfigV1Alpha1DriverInstance.from_str(text).instantiate()) as client:
        if isinstance(client, CompositeClient) and not isinstance(client, TftpServerClient):
            client = client.children["tftp"]
        assert isinstance(client, TftpServerClient)
        client.start()
        yield client


def location(client: TftpServerClient, name: str) -> Location:
    return Location(client.get_host(), client.get_port(), name)


def fetch(client: TftpServerClient, name: str, wishes: Wishes | None = None) -> bytes:
    pieces = get(location(client, name), wishes or Wishes())
    return b"".join(piece.data for piece in pieces)


def send(client: TftpServerClient, name: str, path: Path) -> None:
    with path.open("rb") as file:
        for _ in put(location(client, name), Wishes(), file, path.stat().st_size):
            pass


@pytest.fixture
def upload(tmp_path: Path) -> Path:
    path = tmp_path / "core"
    path.write_bytes(bytes(range(256)) * 5)
    return path


def test_devices_may_not_write_unless_told_so(tmp_path: Path, upload: Path):
    with (
        exported(TFTP % f"root_dir: {tmp_path / 'root'}") as client,
        pytest.raises(TransferError, match="not allowed"),
    ):
        send(client, "core", upload)


def test_what_devices_write_is_there_and_goes_with_the_session(tmp_path: Path, upload: Path):
    root = tmp_path / "root"
    with exported(TFTP % f"root_dir: {root}, writable: true") as client:
        send(client, "core", upload)
        assert (root / "core").read_bytes() == upload.read_bytes()
        assert client.storage.read_bytes("core") == upload.read_bytes()
        with pytest.raises(TransferError, match="exists"):
            send(client, "core", upload)
    assert list(root.iterdir()) == []


def test_what_devices_write_is_kept_when_so_configured(tmp_path: Path, upload: Path):
    root = tmp_path / "root"
    options = f"root_dir: {root}, writable: true, overwrite: true, remove_created_on_close: false"
    with exported(TFTP % options) as client:
        send(client, "core", upload)
        send(client, "core", upload)
        client.stop()
        client.start()
    assert (root / "core").read_bytes() == upload.read_bytes()


def test_largest_upload(tmp_path: Path, upload: Path):
    root = tmp_path / "root"
    with (
        exported(TFTP % f"root_dir: {root}, writable: true, max_upload: 1000") as client,
        pytest.raises(TransferError, match="larger"),
    ):
        send(client, "core", upload)
    assert list(root.iterdir()) == []


def test_view_is_the_root_of_its_device(tmp_path: Path, upload: Path):
    root = tmp_path / "root"
    (root / "board-1").mkdir(parents=True)
    (root / "board-1" / "boot.scr").write_bytes(b"for board 1")
    (root / "boot.scr").write_bytes(b"for others")
    views = "views: {127.0.0.0/8: board-1, 10.0.0.0/8: board-2}, writable: true"
    with exported(TFTP % f"root_dir: {root}, {views}") as client:
        assert fetch(client, "boot.scr") == b"for board 1"
        send(client, "core", upload)
        assert (root / "board-1" / "core").exists()
    assert [path.name for path in (root / "board-1").iterdir()] == ["boot.scr"]


def test_largest_window(tmp_path: Path):
    with exported(TFTP % f"root_dir: {tmp_path}, max_windowsize: 3") as client:
        client.storage.write_bytes("f", b"x" * 5000)
        assert len(fetch(client, "f", Wishes(windowsize=16))) == 5000
        [report] = client.transfers(follow=False)
        assert (report.granted, report.window) == ((("windowsize", "3"),), 3)


def test_single_port(tmp_path: Path):
    with exported(TFTP % f"root_dir: {tmp_path}, single_port: true") as client:
        client.storage.write_bytes("f", b"content")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(10)
            sock.sendto(b"\0\1f\0octet\0", (client.get_host(), client.get_port()))
            data, source = sock.recvfrom(1000)
            assert data == b"\0\3\0\1content"
            assert source == (client.get_host(), client.get_port())
            sock.sendto(b"\0\4\0\1", source)


def test_limits_are_those_of_the_file(tmp_path: Path):
    options = (
        f"root_dir: {tmp_path}, max_transfers: 3, max_transfers_per_client: 2, "
        "max_requests_per_second: 0.5, max_request_burst: 4"
    )
    with exported(TFTP % options) as client:
        assert client.server_status().limits == {
            "transfers": 3,
            "transfers_per_client": 2,
            "requests_per_second": 0.5,
            "burst": 4,
        }


def test_storage_of_any_scheme_is_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    content = bytes(range(256)) * 4096
    with exported(OVER_MEMORY % ("writable: true", MEMORY)) as client:
        client.storage.write_bytes("pxe/boot.img", content)
        assert fetch(client, "pxe/boot.img", Wishes(blksize=1468, windowsize=8)) == content
        (tmp_path / "core").write_bytes(b"core")
        send(client, "core", tmp_path / "core")
        assert client.storage.read_bytes("core") == b"core"
        assert [file.name for file in client.ls()] == ["core", "pxe/boot.img"]
    assert [path.name for path in tmp_path.iterdir()] == ["core"]


def test_storage_may_stand_elsewhere():
    text = f"children: {{images: {MEMORY}, tftp: {OVER_MEMORY % ('', '{ref: images}')}}}"
    with exported(text) as client:
        client.storage.write_bytes("boot.img", b"content")
        assert fetch(client, "boot.img") == b"content"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(
            OVER_MEMORY % ("root_dir: /srv/tftp", MEMORY),
            "root_dir and a child storage were both given",
            id="root_dir as well",
        ),
        pytest.param(
            OVER_MEMORY % ("", TFTP % "root_dir: /tmp"),
            "child storage: a Tftp holds no files; name an Opendal driver",
            id="no storage",
        ),
        pytest.param(
            TFTP % "views: {10.0.0.7: ../a}", "view '../a' is not the name of a", id="view outside"
        ),
        pytest.param(TFTP % "views: {10.0.0.7/33: a}", "view '10.0.0.7/33'", id="no network"),
        pytest.param(TFTP % "max_windowsize: 0", "max_windowsize: Input should be", id="window"),
    ],
)
def test_wrong_file_is_one_line(text: str, words: str):
    with pytest.raises(ConfigurationError) as caught:
        ExporterConfigV1Alpha1DriverInstance.from_str(text).instantiate()
    assert words in str(caught.value.message)
    assert "\n" not in caught.value.message
