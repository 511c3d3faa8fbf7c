"""TFTP clients of others fetch from the server; what they write is compared byte by byte."""

import os
import shlex
from pathlib import Path

import pytest

from jumpstarter_driver_tftp.conftest import Find, run
from jumpstarter_driver_tftp.server import TftpServer

PACKAGES = {"atftp": "atftp", "busybox": "busybox", "curl": "curl", "tftp": "tftp-hpa"}

ATFTP = "atftp {options} --get --remote-file {name} --local-file {target} 127.0.0.1 {port}"
BUSYBOX = "busybox tftp {options} -g -r {name} -l {target} 127.0.0.1 {port}"
CURL = "curl --silent --show-error {options} -o {target} tftp://127.0.0.1:{port}/{name}"
TFTP = "tftp {options} 127.0.0.1 {port} -c get {name} {target}"

WAYS = {
    "atftp": (ATFTP, "--option 'tsize 0'"),
    "atftp-512": (ATFTP, "--option 'blksize 512' --option 'windowsize 3'"),
    "atftp-1428": (ATFTP, "--option 'blksize 1428' --option 'timeout 2'"),
    "atftp-window": (ATFTP, "--option 'blksize 1428' --option 'windowsize 16' --option 'tsize 0'"),
    "atftp-65464": (ATFTP, "--option 'blksize 65464'"),
    "busybox": (BUSYBOX, ""),
    "busybox-100": (BUSYBOX, "-b 100"),
    "busybox-1428": (BUSYBOX, "-b 1428"),
    "busybox-65464": (BUSYBOX, "-b 65464"),
    "curl": (CURL, ""),
    "curl-1428": (CURL, "--tftp-blksize 1428"),
    "curl-plain": (CURL, "--tftp-no-options"),
    "tftp": (TFTP, "-m binary"),
}
SIZES = [0, 1, 512, 1024, 1428, 16 * 1428, 300_000]


async def fetch(find: Find, way: tuple[str, str], port: int, name: str, target: Path):
    """Fetch a file with a client, and return its exit code and what it said."""
    template, options = way
    values = {"name": name, "target": str(target), "port": port, "options": options}
    command = shlex.split(template.format(**values))
    return await run(find(command[0], PACKAGES[command[0]]), *command[1:])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
async def test_a_file_arrives(
    program: Find, root: Path, tmp_path: Path, way: tuple[str, str], size: int
):
    content = os.urandom(size)
    (root / "pxe" / "image").write_bytes(content)
    target = tmp_path / "fetched"
    target.touch()  # curl leaves no file behind when an empty one arrives
    async with TftpServer("127.0.0.1", 0, root).running() as (_, port):
        code, said = await fetch(program, way, port, "pxe/image", target)
    assert code == 0, said
    assert target.read_bytes() == content


@pytest.mark.parametrize("way", ["busybox", "tftp"])
async def test_block_numbers_wrap(program: Find, root: Path, tmp_path: Path, way: str):
    content = os.urandom(65_536 * 512 + 1000)
    (root / "image").write_bytes(content)
    target = tmp_path / "fetched"
    async with TftpServer("127.0.0.1", 0, root).running() as (_, port):
        code, said = await fetch(program, WAYS[way], port, "image", target)
    assert code == 0, said
    assert target.read_bytes() == content


TEXT = b"one\ntwo\r\nthree\r" * 200
SENT = TEXT.replace(b"\r", b"\r\0").replace(b"\n", b"\r\n")


@pytest.mark.parametrize(
    ("way", "arrives"),
    [
        ((TFTP, "-m ascii"), TEXT),
        ((ATFTP, "--option 'mode netascii'"), TEXT),
        ((CURL, "--use-ascii"), SENT),  # curl leaves it as it came
    ],
    ids=["tftp", "atftp", "curl"],
)
async def test_text_arrives(
    program: Find, root: Path, tmp_path: Path, way: tuple[str, str], arrives: bytes
):
    (root / "text").write_bytes(TEXT)
    target = tmp_path / "fetched"
    async with TftpServer("127.0.0.1", 0, root).running() as (_, port):
        code, said = await fetch(program, way, port, "text", target)
    assert code == 0, said
    assert target.read_bytes() == arrives


@pytest.mark.parametrize(
    ("way", "message"),
    [
        ("atftp", "error received from server <File not found>"),
        ("atftp-window", "error received from server <File not found>"),
        ("busybox", "server error: (1) File not found"),
        ("busybox-1428", "server error: (1) File not found"),
        ("curl", "curl: (68) "),
        ("tftp", "Error code 1: File not found"),
    ],
)
async def test_a_missing_file_is_named_as_such(
    program: Find, root: Path, tmp_path: Path, way: str, message: str
):
    async with TftpServer("127.0.0.1", 0, root).running() as (_, port):
        _, said = await fetch(program, WAYS[way], port, "missing", tmp_path / "fetched")
    assert message in said
