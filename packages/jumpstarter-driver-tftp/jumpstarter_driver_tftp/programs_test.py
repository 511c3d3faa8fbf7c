"""TFTP clients of others fetch from the server; what they write is compared byte by byte."""

import os
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from jumpstarter_driver_tftp.server import TftpServer

Find = Callable[[str, str], str]


async def run(*command: str) -> tuple[int, str]:
    """Run a program; return its exit code and all that it said."""
    done = await anyio.run_process(command, check=False)
    return done.returncode, (done.stdout + done.stderr).decode()


@pytest.fixture
def curl(program: Find) -> str:
    return program("curl", "curl")


@pytest.fixture
def tftp(program: Find) -> str:
    return program("tftp", "tftp-hpa")


@pytest.mark.parametrize("size", [0, 1, 512, 1024, 700_000])
@pytest.mark.parametrize("options", [[], ["--tftp-blksize", "1428"], ["--tftp-no-options"]])
async def test_curl_fetches(curl: str, root: Path, tmp_path: Path, size: int, options: list[str]):
    content = os.urandom(size)
    (root / "pxe" / "image").write_bytes(content)
    target = tmp_path / "fetched"
    target.touch()  # curl leaves no file behind when an empty one arrives
    async with TftpServer("127.0.0.1", 0, root).running() as (_, port):
        url = f"tftp://127.0.0.1:{port}/pxe/image"
        code, said = await run(curl, "--silent", "--show-error", *options, "-o", str(target), url)
    assert (code, said) == (0, "")
    assert target.read_bytes() == content


async def test_curl_is_told_that_a_file_is_missing(curl: str, root: Path):
    async with TftpServer("127.0.0.1", 0, root).running() as (_, port):
        code, _ = await run(curl, "--silent", f"tftp://127.0.0.1:{port}/missing")
    assert code == 68  # "File not found on TFTP server"


async def test_curl_may_not_write(curl: str, root: Path):
    async with TftpServer("127.0.0.1", 0, root).running() as (_, port):
        url = f"tftp://127.0.0.1:{port}/new"
        code, _ = await run(curl, "--silent", "-T", str(root / "boot.img"), url)
    assert code == 69  # "Permission problem on TFTP server"
    assert not (root / "new").exists()


@pytest.mark.parametrize("size", [0, 1, 512, 1024, 700_000])
async def test_tftp_fetches(tftp: str, root: Path, tmp_path: Path, size: int):
    content = os.urandom(size)
    (root / "pxe" / "image").write_bytes(content)
    target = tmp_path / "fetched"
    async with TftpServer("127.0.0.1", 0, root).running() as (_, port):
        get = ["-m", "binary", "127.0.0.1", str(port), "-c", "get", "pxe/image", str(target)]
        code, said = await run(tftp, *get)
    assert (code, said) == (0, "")
    assert target.read_bytes() == content


async def test_tftp_fetches_text(tftp: str, root: Path, tmp_path: Path):
    text = b"one\ntwo\r\nthree\r" * 200
    (root / "text").write_bytes(text)
    target = tmp_path / "fetched"
    async with TftpServer("127.0.0.1", 0, root).running() as (_, port):
        get = ["-m", "ascii", "127.0.0.1", str(port), "-c", "get", "text", str(target)]
        code, said = await run(tftp, *get)
    assert (code, said) == (0, "")
    assert target.read_bytes() == text


async def test_tftp_is_told_that_a_file_is_missing(tftp: str, root: Path, tmp_path: Path):
    target = tmp_path / "fetched"
    async with TftpServer("127.0.0.1", 0, root).running() as (_, port):
        get = ["-m", "binary", "127.0.0.1", str(port), "-c", "get", "missing", str(target)]
        _, said = await run(tftp, *get)
    assert "Error code 1: File not found" in said
