"""`python -m jumpstarter_driver_tftp`, run as a program of its own."""

import os
import sys
from pathlib import Path

import anyio
import pytest

from jumpstarter_driver_tftp.server import TftpServer


async def run(*arguments: str, cwd: Path) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "jumpstarter_driver_tftp", *arguments]
    done = await anyio.run_process(command, check=False, cwd=cwd)
    return done.returncode, done.stdout.decode("latin-1"), done.stderr.decode()


async def test_get_names_the_file_as_the_server_does(root: Path, tmp_path: Path):
    async with TftpServer("127.0.0.1", 0, root).running() as (_, port):
        url = f"tftp://127.0.0.1:{port}/pxe/boot.img"
        assert await run("get", url, cwd=tmp_path) == (0, "", "")
    assert (tmp_path / "boot.img").read_bytes() == b"in a sub-directory"


async def test_get_takes_all_options(root: Path, tmp_path: Path):
    content = os.urandom(100_000)
    (root / "file").write_bytes(content)
    options = ["--blksize=1428", "--windowsize=16", "--timeout=3", "--tsize", "--mode=octet"]
    async with TftpServer("127.0.0.1", 0, root).running() as (_, port):
        url = f"tftp://127.0.0.1:{port}/file"
        code = await run("get", url, "-o", "copy", *options, cwd=tmp_path)
    assert code == (0, "", "")
    assert (tmp_path / "copy").read_bytes() == content


async def test_get_writes_to_standard_output(root: Path, tmp_path: Path):
    async with TftpServer("127.0.0.1", 0, root).running() as (_, port):
        url = f"tftp://127.0.0.1:{port}/pxe/boot.img"
        assert await run("get", url, "-o", "-", cwd=tmp_path) == (0, "in a sub-directory", "")


async def test_failed_get_leaves_what_was_there(root: Path, tmp_path: Path):
    (tmp_path / "missing").write_bytes(b"old")
    before = sorted(tmp_path.iterdir())  # noqa: ASYNC240 - nothing else runs yet
    async with TftpServer("127.0.0.1", 0, root).running() as (_, port):
        url = f"tftp://127.0.0.1:{port}/missing"
        error = f"Error: {url}: File not found (TFTP error 1)\n"
        assert await run("get", url, cwd=tmp_path) == (1, "", error)
    assert sorted(tmp_path.iterdir()) == before  # noqa: ASYNC240 - nothing else runs any more
    assert (tmp_path / "missing").read_bytes() == b"old"


async def test_put_says_that_it_is_refused(root: Path, tmp_path: Path):
    (tmp_path / "new").write_bytes(b"content")
    async with TftpServer("127.0.0.1", 0, root).running() as (_, port):
        url = f"tftp://127.0.0.1:{port}/new"
        error = f"Error: {url}: Writing is not allowed (TFTP error 2)\n"
        assert await run("put", url, cwd=tmp_path) == (1, "", error)


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        pytest.param(["put", "tftp://h/f", "-i", "none"], 1, "none: No such file", id="no input"),
        pytest.param(
            ["get", "tftp://127.0.0.1:1/f"], 1, "nothing listens on this port", id="nobody there"
        ),
        pytest.param(
            ["get", "tftp://127.0.0.1:1/f", "-o", "no/f"], 1, "no/", id="no directory to write to"
        ),
        pytest.param(["get", "http://h/f"], 2, "'http://h/f' is not of the form", id="other URL"),
        pytest.param(["get", "tftp://h/f", "--blksize=7"], 2, "'7' is not from 8", id="blksize"),
        pytest.param(["get", "tftp://h/f", "--timeout=x"], 2, "'x' is not from 1", id="timeout"),
        pytest.param(["get"], 2, "required: tftp://", id="nothing to get"),
        pytest.param([], 2, "required: command", id="nothing to do"),
    ],
)
async def test_bad_input_is_one_clear_line(
    tmp_path: Path, arguments: list[str], code: int, error: str
):
    returned, out, said = await run(*arguments, cwd=tmp_path)
    assert (returned, out) == (code, "")
    assert error in said.splitlines()[-1]
    assert "Traceback" not in said
