"""TFTP clients of others write to the server; what it stores is compared byte by byte."""

import os
import shlex
from pathlib import Path

import pytest

from jumpstarter_driver_tftp.conftest import Find, run
from jumpstarter_driver_tftp.programs_test import PACKAGES, SIZES, TEXT
from jumpstarter_driver_tftp.server import TftpServer

ATFTP = "atftp {options} --put --local-file {source} --remote-file {name} 127.0.0.1 {port}"
BUSYBOX = "busybox tftp {options} -p -l {source} -r {name} 127.0.0.1 {port}"
CURL = "curl --silent --show-error {options} -T {source} tftp://127.0.0.1:{port}/{name}"
TFTP = "tftp {options} 127.0.0.1 {port} -c put {source} {name}"

WAYS = {
    "atftp": (ATFTP, "--option 'tsize 0'"),
    "atftp-1428": (ATFTP, "--option 'blksize 1428' --option 'timeout 2'"),
    "atftp-window": (ATFTP, "--option 'blksize 1428' --option 'windowsize 16'"),
    "busybox": (BUSYBOX, ""),
    "busybox-1428": (BUSYBOX, "-b 1428"),
    "curl": (CURL, ""),
    "curl-1428": (CURL, "--tftp-blksize 1428"),
    "curl-plain": (CURL, "--tftp-no-options"),
    "tftp": (TFTP, "-m binary"),
}
EACH = ["atftp", "busybox", "curl", "tftp"]


async def store(find: Find, way: tuple[str, str], port: int, source: Path, name: str):
    """Write a file with a client, and return its exit code and what it said."""
    template, options = way
    values = {"name": name, "source": str(source), "port": port, "options": options}
    command = shlex.split(template.format(**values))
    return await run(find(command[0], PACKAGES[command[0]]), *command[1:])


CONTENT = os.urandom(5000)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(CONTENT)
    return path


def tree(directory: Path) -> list[Path]:
    """Return all that is in a directory, and below."""
    return sorted(directory.rglob("*"))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
async def test_a_file_is_stored(
    program: Find, root: Path, tmp_path: Path, way: tuple[str, str], size: int
):
    content = os.urandom(size)
    source = tmp_path / "source"
    source.write_bytes(content)
    server = TftpServer("127.0.0.1", 0, root, writable=True)
    async with server.running() as (_, port):
        code, said = await store(program, way, port, source, "pxe/new")
    assert code == 0, said
    assert (root / "pxe" / "new").read_bytes() == content


async def test_text_is_stored(program: Find, root: Path, tmp_path: Path):
    source = tmp_path / "source"
    source.write_bytes(TEXT)
    server = TftpServer("127.0.0.1", 0, root, writable=True)
    async with server.running() as (_, port):
        code, said = await store(program, (TFTP, "-m ascii"), port, source, "new")
    assert code == 0, said
    assert (root / "new").read_bytes() == TEXT


REFUSALS = {
    "atftp": "error received from server <{0}>",
    "busybox": "server error: ({1}) {0}",
    "curl": "curl: (",  # it has a text of its own for each number
    "tftp": "Error code {1}: {0}",
}


@pytest.mark.parametrize("way", EACH)
async def test_nobody_may_write_by_default(program: Find, root: Path, source: Path, way: str):
    async with TftpServer("127.0.0.1", 0, root).running() as (_, port):
        _, said = await store(program, WAYS[way], port, source, "new")
    assert REFUSALS[way].format("Writing is not allowed", 2) in said
    assert not (root / "new").exists()


@pytest.mark.parametrize("way", EACH)
async def test_a_file_is_not_replaced(program: Find, root: Path, source: Path, way: str):
    before = (root / "boot.img").read_bytes()
    server = TftpServer("127.0.0.1", 0, root, writable=True)
    async with server.running() as (_, port):
        _, said = await store(program, WAYS[way], port, source, "boot.img")
    assert REFUSALS[way].format("File already exists", 6) in said
    assert (root / "boot.img").read_bytes() == before


@pytest.mark.parametrize("way", EACH)
async def test_a_file_is_replaced_where_that_is_allowed(
    program: Find, root: Path, source: Path, way: str
):
    server = TftpServer("127.0.0.1", 0, root, writable=True, overwrite=True)
    async with server.running() as (_, port):
        code, said = await store(program, WAYS[way], port, source, "boot.img")
    assert code == 0, said
    assert (root / "boot.img").read_bytes() == CONTENT


@pytest.mark.parametrize("way", EACH)
async def test_a_file_that_is_too_large_leaves_nothing(
    program: Find, root: Path, source: Path, way: str
):
    before = tree(root)
    server = TftpServer("127.0.0.1", 0, root, writable=True, max_upload=2000)
    async with server.running() as (_, port):
        code, said = await store(program, WAYS[way], port, source, "new")
    assert code != 0 or "Error code 3" in said
    assert tree(root) == before
