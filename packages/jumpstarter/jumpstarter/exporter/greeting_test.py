"""A hook that greets whoever enters the shell, as a client reads it."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from google.protobuf import empty_pb2

from jumpstarter.config.hooks import OnFailure
from jumpstarter.exporter.conftest import Probe, stub_for
from jumpstarter.exporter.exporter_test import exporter_of, hook
from jumpstarter.exporter.greeting import LONGEST, joined, written


async def told(script: str, on_failure: OnFailure = "warn") -> str:
    """Return the message of the day after a beforeLease hook."""
    exporter = exporter_of(
        Probe(), hook(script, on_failure), hook('test -z "$JMP_MOTD_FILE"', "exit")
    )
    async with exporter.open_unix() as (_, path), stub_for(path) as stub:
        return (await stub.GetReport(empty_pb2.Empty())).motd


async def test_what_the_hook_writes_follows_the_exporters_message():
    assert await told('echo "flashed v7" >"$JMP_MOTD_FILE"') == "welcome\nflashed v7"


async def test_a_hook_that_fails_may_say_why():
    assert await told('echo "no v7" >"$JMP_MOTD_FILE"; exit 1') == "welcome\nno v7"


async def test_a_hook_that_writes_nothing_changes_nothing():
    assert await told("true") == "welcome"


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_directory(path: Path) -> None:
    path.mkdir()


def make_link(path: Path) -> None:
    path.symlink_to("/etc/hostname")


@pytest.mark.parametrize("make", [make_fifo, make_directory, make_link])
def test_only_a_file_is_read(tmp_path: Path, make: Callable[[Path], None]):
    make(tmp_path / "motd")
    assert written(tmp_path / "motd") == ""


def test_a_long_message_is_cut(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / "motd").write_bytes(b"x" * (LONGEST + 1))
    assert written(tmp_path / "motd") == "x" * LONGEST
    assert f"cut to {LONGEST} bytes" in caplog.text


def test_bytes_that_are_no_text_are_shown_as_such(tmp_path: Path):
    (tmp_path / "motd").write_bytes(b"caf\xe9\n\n")
    assert written(tmp_path / "motd") == "caf�"


@pytest.mark.parametrize(
    ("motd", "more", "both"),
    [(None, "", None), ("", "", None), ("a\n", "", "a"), (None, "b", "b"), ("a\n\n", "b", "a\nb")],
)
def test_joined(motd: str | None, more: str, both: str | None):
    assert joined(motd, more) == both
