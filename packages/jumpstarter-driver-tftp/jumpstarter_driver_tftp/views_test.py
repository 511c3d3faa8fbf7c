"""Which sub-directory a client sees, and that it sees nothing else."""

import socket
from pathlib import Path

import pytest
from opendal import AsyncOperator

from jumpstarter_driver_tftp.conftest import Peer, serving, write
from jumpstarter_driver_tftp.packet import Error
from jumpstarter_driver_tftp.server import TftpServer
from jumpstarter_driver_tftp.views import Views

VIEWS = Views(
    {
        "10.0.0.7": "boards/seven",
        "10.0.0.0/24": "boards",
        "10.0.0.0/8": "all",
        "fd00::/64": "six",
        "fd00::7": "/six/seven/",
    }
)


@pytest.mark.parametrize(
    ("client", "folder"),
    [
        ("10.0.0.7", ("boards", "seven")),
        ("::ffff:10.0.0.7", ("boards", "seven")),
        ("10.0.0.8", ("boards",)),
        ("10.9.0.7", ("all",)),
        ("192.0.2.1", ()),
        ("fd00::7", ("six", "seven")),
        ("fd00::8", ("six",)),
        ("fd01::8", ()),
        ("fe80::1%eth0", ()),
    ],
)
def test_smallest_network_counts(client: str, folder: tuple[str, ...]):
    assert VIEWS.find(client) == folder


def test_without_views_everybody_sees_the_root():
    assert Views({}).find("10.0.0.7") == ()


@pytest.mark.parametrize("client", ["board7", "10.0.0.7/24", "10.0.0.0/33", ""])
def test_wrong_network_is_named(client: str):
    with pytest.raises(ValueError, match=f"view '{client}'"):
        Views({client: "a"})


@pytest.mark.parametrize("folder", ["", "/", "..", "a/../b", "a\0b"])
def test_wrong_folder_is_named(folder: str):
    with pytest.raises(ValueError, match="is not the name of a sub-directory"):
        Views({"10.0.0.7": folder})


OUTSIDE = Error(2, "Access violation")
ABSENT = Error(1, "File not found")


@pytest.fixture
def boards(root: Path) -> Path:
    for name in ("one", "two"):
        (root / name).mkdir()
        (root / name / "boot.scr").write_text(name)
    (root / "two" / "only").write_text("two's")
    (root / "one" / "link").symlink_to("../two/only")
    (root / "one" / "boards").symlink_to("..")
    return root


@pytest.fixture
def one(peer: Peer) -> Peer:
    """Return the client that sees the directory `one`."""
    return peer


VIEW_ONE = {"127.0.0.1": "one", "127.0.0.0/8": "two", "10.0.0.0/8": "none"}


async def test_client_finds_its_own_file_and_no_others(boards: Path, one: Peer):
    async with serving(TftpServer("127.0.0.1", 0, boards, views=VIEW_ONE), one):
        for name in ("boot.scr", "/boot.scr"):
            assert await one.fetch(await one.read(name)) == b"one"
        for name in ("only", "two/only", "boot.img", "one/boot.scr"):
            assert await one.read(name) == ABSENT
        for name in ("link", "boards/two/only", "../two/only", "../boot.img"):
            assert await one.read(name) == OUTSIDE


async def test_other_client_finds_its_own(boards: Path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0)
        sock.bind(("127.0.0.2", 0))
        two = Peer(sock)
        async with serving(TftpServer("127.0.0.1", 0, boards, views=VIEW_ONE), two):
            assert await two.fetch(await two.read("boot.scr")) == b"two"


async def test_view_of_a_store(one: Peer):
    store = AsyncOperator("memory")
    for name in ("one/boot.scr", "two/only"):
        await write(store, name, name.encode())
    async with serving(TftpServer("127.0.0.1", 0, store, views=VIEW_ONE), one):
        assert await one.fetch(await one.read("boot.scr")) == b"one/boot.scr"
        for name in ("only", "two/only", "one/boot.scr"):
            assert await one.read(name) == ABSENT


async def test_view_whose_directory_is_missing_is_empty(root: Path, one: Peer):
    async with serving(TftpServer("127.0.0.1", 0, root, views={"127.0.0.1": "none"}), one):
        assert await one.read("boot.img") == ABSENT


def test_wrong_view_is_refused_at_construction(root: Path):
    with pytest.raises(ValueError, match="view 'board'"):
        TftpServer("127.0.0.1", 0, root, views={"board": "one"})
