"""ustreamer: pictures and the state of a camera, from a program in the place of ustreamer."""

import os
import sys
from pathlib import Path

import pytest

from .conftest import Clients, Offers, Served

CAMERA = Path(__file__).with_name("camera.py")


@pytest.fixture
def ready(tmp_path: Path) -> Path:
    """A named pipe that the program opens once it listens."""
    path = tmp_path / "ready"
    os.mkfifo(path)
    return path


@pytest.fixture
def entry(tmp_path: Path, ready: Path) -> str:
    program = tmp_path / "ustreamer"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {CAMERA} {ready} "$@"\n')
    program.chmod(0o755)
    return f"""
type: jumpstarter_driver_ustreamer.driver.UStreamer
config: {{executable: {program}, args: {{device: /dev/video0}}}}
"""


def test_import(offers: Offers):
    assert offers("jumpstarter-driver-ustreamer") == {"UStreamer"}


def test_build_with_a_program(clients: Clients, entry: str):
    assert clients(entry) == {"": "jumpstarter_driver_ustreamer.client.UStreamerClient"}


def test_call_state_and_picture(served: Served, entry: str, ready: Path):
    client = served(entry)
    assert ready.read_text() == "--device /dev/video0"
    assert client.state().result.source.online
    assert client.snapshot().size == (4, 3)


def test_call_stream_reaches_the_program(served: Served, entry: str, ready: Path):
    client = served(entry)
    ready.read_text()
    with client.stream() as stream:
        stream.send(b"GET /state HTTP/1.0\r\n\r\n")
        assert stream.receive().startswith(b"HTTP/1.0 200 ")
