"""Lines in the log: none is lost, and those that come together are written together."""

import logging

import anyio
import pytest

from jumpstarter_driver_tftp.conftest import PATIENCE
from jumpstarter_driver_tftp.journal import Entry
from jumpstarter_driver_tftp.log_lines import LogLines
from jumpstarter_driver_tftp.packet import Opcode, Request
from jumpstarter_driver_tftp.reports import State
from jumpstarter_driver_tftp.sockets import Arrival


class Heard(logging.Handler):
    """Notes what is written, and tells."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.event = anyio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.levelname} {record.getMessage()}")
        self.event.set()


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def logger(heard: Heard) -> logging.Logger:
    logger = logging.Logger("lines", logging.INFO)
    logger.addHandler(heard)
    return logger


def ended(name: str) -> Entry:
    arrival = Arrival(b"", ("10.0.0.1", 2000), ("10.0.0.2", 69))
    entry = Entry(1, arrival, Request(Opcode.RRQ, name, "octet"), 0.0, 0.0)
    entry.state, entry.text = State.REFUSED, "File not found"
    return entry


async def test_lines_are_written_soon_and_together(logger: logging.Logger, heard: Heard):
    lines = LogLines(logger)
    lines.add(logging.INFO, ended("a"))
    lines.add(logging.WARNING, ended("b"))
    assert heard.lines == []
    with anyio.fail_after(PATIENCE):
        await heard.event.wait()
    assert heard.lines == [
        "INFO 10.0.0.1:2000: read of 'a' refused: File not found",
        "WARNING 10.0.0.1:2000: read of 'b' refused: File not found",
    ]


async def test_lines_after_others_were_written_come_too(logger: logging.Logger, heard: Heard):
    lines = LogLines(logger)
    lines.add(logging.INFO, ended("a"))
    lines.write()
    heard.event = anyio.Event()
    lines.add(logging.INFO, ended("b"))
    with anyio.fail_after(PATIENCE):
        await heard.event.wait()
    assert [line.split("'")[1] for line in heard.lines] == ["a", "b"]


async def test_a_level_that_is_off_costs_nothing(logger: logging.Logger, heard: Heard):
    logger.setLevel(logging.WARNING)
    lines = LogLines(logger)
    lines.add(logging.INFO, ended("a"))
    lines.write()
    assert heard.lines == []


async def test_name_that_looks_like_a_format_stands_as_it_is(logger: logging.Logger, heard: Heard):
    lines = LogLines(logger)
    lines.add(logging.INFO, ended("%s%(a)d"))
    lines.write()
    assert heard.lines == ["INFO 10.0.0.1:2000: read of '%s%(a)d' refused: File not found"]
