"""What is said about a transfer, to whom, and when."""

import logging
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

import anyio
import pytest

from jumpstarter.streams.memory import MemoryStream, create_memory_stream
from jumpstarter.streams.progress import ProgressAttribute, ProgressStream, Transfer, can_draw
from jumpstarter.streams.wrapping import WrappingStream

MEBIBYTE = 1 << 20


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Sized(WrappingStream):
    """A stream that knows its total: 10 MiB."""

    @property
    def extra_attributes(self) -> Mapping[object, Callable[[], object]]:
        return {cast("object", ProgressAttribute.total): lambda: 10 * MEBIBYTE}


def test_transfer_is_shown_once_per_interval():
    transfer = Transfer(total=None, started=0)
    assert not transfer.add(1, now=0, interval=2)
    assert not transfer.add(1, now=1.9, interval=2)
    assert transfer.add(1, now=2, interval=2)
    assert not transfer.add(1, now=3.9, interval=2)
    assert transfer.add(1, now=4, interval=2)
    assert transfer.moved == 5


@pytest.mark.parametrize(
    ("total", "moved", "now", "text"),
    [
        (None, 3 * MEBIBYTE, 2, "3.0 MiB, 1.5 MiB/s"),
        (10 * MEBIBYTE, 5 * MEBIBYTE, 2, "5.0 MiB of 10.0 MiB (50 %), 2.5 MiB/s"),
        (0, 0, 1, "0.0 MiB, 0.0 MiB/s"),
        (None, MEBIBYTE, 0, "1.0 MiB"),
    ],
)
def test_description(total: float | None, moved: int, now: float, text: str):
    assert Transfer(total=total, started=0, moved=moved).describe(now) == text


@pytest.mark.parametrize(
    ("is_terminal", "term", "draws"),
    [
        (True, "xterm", True),
        (True, "dumb", False),
        (True, None, False),
        (False, "xterm", False),
    ],
)
def test_bar_is_drawn_only_where_it_can_move(is_terminal: bool, term: str | None, draws: bool):
    assert can_draw(is_terminal=is_terminal, term=term) is draws


async def test_bytes_and_ends_pass_through_in_silence(capfd: pytest.CaptureFixture[str]):
    near, far = create_memory_stream()
    async with ProgressStream(stream=near) as stream:
        await stream.send(b"out")
        assert await far.receive() == b"out"
        await far.send(b"in")
        assert await stream.receive() == b"in"
        await far.send_eof()
        with pytest.raises(anyio.EndOfStream):
            await stream.receive()
        await stream.send_eof()
        with pytest.raises(anyio.EndOfStream):
            await far.receive()
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "progress" in record.name]


async def move(stream: ProgressStream, far: MemoryStream, size: int) -> None:
    await far.send(bytes(size))
    await stream.receive()


async def test_log_has_a_line_every_two_seconds_and_one_at_the_end(
    caplog: pytest.LogCaptureFixture,
):
    near, far = create_memory_stream()
    clock = Clock()
    with caplog.at_level(logging.INFO):
        async with ProgressStream(stream=Sized(stream=near), logging=True, clock=clock) as stream:
            for second in range(5):
                clock.now = second
                await move(stream, far, MEBIBYTE)
            assert lines(caplog) == [
                "transferred 3.0 MiB of 10.0 MiB (30 %), 1.5 MiB/s",
                "transferred 5.0 MiB of 10.0 MiB (50 %), 1.2 MiB/s",
            ]
            clock.now = 10
            await move(stream, far, 5 * MEBIBYTE)
            await far.send_eof()
            with pytest.raises(anyio.EndOfStream):
                await stream.receive()
    assert lines(caplog)[2:] == [
        "transferred 10.0 MiB of 10.0 MiB (100 %), 1.0 MiB/s",
        "transfer ended: 10.0 MiB of 10.0 MiB (100 %), 1.0 MiB/s",
    ]


@pytest.mark.parametrize("abrupt", [False, True])
async def test_transfer_that_is_given_up_ends_in_the_log(
    abrupt: bool, caplog: pytest.LogCaptureFixture
):
    near, _ = create_memory_stream()
    with caplog.at_level(logging.INFO):
        stream = ProgressStream(stream=near, logging=True, clock=Clock())
        await stream.send(bytes(MEBIBYTE))
        await (stream.reset() if abrupt else stream.aclose())
        await stream.aclose()
    assert lines(caplog) == ["transfer ended: 1.0 MiB"]


async def test_stream_that_moved_nothing_logs_nothing(caplog: pytest.LogCaptureFixture):
    near, _ = create_memory_stream()
    with caplog.at_level(logging.INFO):
        async with ProgressStream(stream=near, logging=True):
            pass
    assert lines(caplog) == []


TRANSFER = """
import anyio
from jumpstarter.streams.memory import create_memory_stream
from jumpstarter.streams.progress import ProgressStream
from jumpstarter.streams.progress_test import Sized

async def main():
    near, far = create_memory_stream()
    async with ProgressStream(stream=Sized(stream=near)) as stream:
        for _ in range(10):
            await stream.send(bytes(1 << 20))
anyio.run(main)
"""


def run_on_terminal(term: str) -> bytes:
    """Run a transfer whose standard error is a terminal; return what it wrote there."""
    ours, theirs = pty.openpty()
    try:
        with subprocess.Popen(
            [sys.executable, "-c", TRANSFER],
            stderr=theirs,
            env={**os.environ, "TERM": term, "COLUMNS": "100"},
            cwd=Path(__file__).parents[2],
        ) as process:
            os.close(theirs)
            output = read_terminal(ours)
        assert process.returncode == 0, output
    finally:
        os.close(ours)
    return output


def read_terminal(descriptor: int) -> bytes:
    """Read until the last program has left the terminal, which Linux reports as an error."""
    output = b""
    while True:
        try:
            output += os.read(descriptor, 4096)
        except OSError:
            return output


def test_terminal_shows_a_bar_that_ends_complete():
    output = run_on_terminal("xterm")
    assert b"100%" in output
    assert b"10.0/10.0 MiB" in output


def test_dumb_terminal_shows_nothing():
    assert run_on_terminal("dumb") == b""
