"""What is kept of the output of consoles and of logs, and how it is shown."""

import logging
import threading

import pytest

from .recording import CONSOLE_BYTES, LOG_RECORDS, ExporterLog, Output, console_text


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", ""),
        (b"one\r\ntwo\n\tthree", "one\ntwo\n\tthree"),
        (b"\x1b[1;31mred\x1b[0m \x1b[?25lhidden\x1b[2K", "red hidden"),
        (b"bell\x07 back\x08 nul\x00 cr\rdel\x7f", "bell back nul crdel"),
        ("grün".encode(), "grün"),
        (b"\xff\xfe", "\N{REPLACEMENT CHARACTER}" * 2),
    ],
)
def test_text_can_be_shown(data: bytes, text: str):
    assert console_text(data) == text


def test_output_is_taken_once_and_in_order():
    output = Output()
    output.add(b"one ")
    output.add(b"two")
    assert output.take() == "one two"
    assert output.take() == ""


def test_character_cut_between_chunks_is_whole_again():
    output = Output()
    for byte in "ü".encode():
        output.add(bytes([byte]))
    assert output.take() == "ü"


@pytest.mark.parametrize("size", [1, 1000, CONSOLE_BYTES, 3 * CONSOLE_BYTES])
def test_long_output_keeps_its_end(size: int):
    output, data = Output(), b"".join(b"%07d\n" % number for number in range(30_000))
    for at in range(0, len(data), size):
        output.add(data[at : at + size])
    assert output.take().encode() == data[-CONSOLE_BYTES:]


def _record(text: str) -> logging.LogRecord:
    return logging.LogRecord("exporter:driver", logging.INFO, "", 0, text, (), None)


def test_log_keeps_the_last_records():
    log = ExporterLog()
    for number in range(LOG_RECORDS + 1):
        log.hear(_record(f"number {number}"))
    lines = log.take().splitlines()
    assert len(lines) == LOG_RECORDS
    assert lines[-1].endswith(f" INFO    exporter:driver: number {LOG_RECORDS}")
    assert log.take() == ""


def test_settling_waits_for_a_record_that_is_under_way():
    log = ExporterLog()
    late = threading.Timer(0.03, log.hear, [_record("late")])
    late.start()
    log.settle(lambda: 0)
    assert "late" in log.take()
    late.join()


def test_settling_ends_however_much_comes():
    log, times, enough = ExporterLog(), iter([0.0, 0.1, 0.2, 10.0]), threading.Event()

    def chatter() -> None:
        while not enough.is_set():
            log.hear(_record("more"))

    thread = threading.Thread(target=chatter)
    thread.start()
    log.settle(lambda: next(times))
    enough.set()
    thread.join()
    with pytest.raises(StopIteration):
        next(times)
