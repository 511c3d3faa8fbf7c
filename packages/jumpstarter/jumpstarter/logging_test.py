"""Log output: what a line holds, and whose context it carries."""

import io
import json
import logging
from collections.abc import Iterator

import anyio
import pytest
from anyio import to_thread

from jumpstarter.logging import (
    LogFormat,
    clear_log_context,
    set_log_context,
    set_persistent_log_context,
    setup_logging,
    unbind_log_context,
)

LOG = logging.getLogger("jumpstarter.test")


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Give the root logger back what it had, and forget all context."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    # basicConfig closes the handlers that it finds; pytest's own must stay open.
    root.handlers.clear()
    yield
    for handler in root.handlers[:]:
        root.removeHandler(handler)
    root.handlers[:] = handlers
    root.setLevel(level)
    clear_log_context()
    unbind_log_context("exporter")


def _entries(stream: io.StringIO) -> list[dict[str, str]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_text_line():
    stream = io.StringIO()
    setup_logging("INFO", "text", stream)
    set_log_context(lease="l-1", attempt=2)
    LOG.info("opened %s", "uart")
    LOG.debug("below the level")
    (line,) = stream.getvalue().splitlines()
    assert line.endswith("INFO    jumpstarter.test: opened uart lease=l-1 attempt=2")


def test_json_line():
    stream = io.StringIO()
    setup_logging("INFO", "json", stream)
    set_log_context(lease="l-1")
    LOG.warning("opened %s", "uart")
    (entry,) = _entries(stream)
    assert entry.pop("timestamp").endswith("+00:00")
    assert entry == {
        "severity": "warning",
        "logger": "jumpstarter.test",
        "message": "opened uart",
        "lease": "l-1",
    }


def test_context_cannot_replace_the_message():
    stream = io.StringIO()
    setup_logging("INFO", "json", stream)
    set_log_context(message="forged")
    LOG.info("real")
    assert _entries(stream)[0]["message"] == "real"


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_traceback_is_written(log_format: LogFormat):
    stream = io.StringIO()
    setup_logging("INFO", log_format, stream)
    try:
        raise KeyError("missing-key")  # noqa: TRY301 - something to log
    except KeyError:
        LOG.exception("failed")
    assert "missing-key" in stream.getvalue()
    assert "Traceback" in stream.getvalue()


@pytest.mark.parametrize(("stream", "is_json"), [(io.StringIO(), True), (_Terminal(), False)])
def test_auto_is_text_on_a_terminal(stream: io.StringIO, is_json: bool):
    setup_logging("INFO", "auto", stream)
    LOG.info("hello")
    assert stream.getvalue().startswith("{") is is_json


def test_default_is_standard_error(capsys: pytest.CaptureFixture[str]):
    setup_logging()
    LOG.info("hello")
    captured = capsys.readouterr()
    assert "hello" in captured.err
    assert captured.out == ""


def test_second_setup_takes_the_place_of_the_first():
    first, second = io.StringIO(), io.StringIO()
    setup_logging("INFO", "json", first)
    setup_logging("DEBUG", "json", second)
    LOG.debug("hello")
    assert first.getvalue() == ""
    assert len(_entries(second)) == 1


def test_unknown_level_is_refused():
    with pytest.raises(ValueError, match="LOUD"):
        setup_logging("LOUD", "text", io.StringIO())


def test_clear_keeps_the_context_of_the_process():
    stream = io.StringIO()
    setup_logging("INFO", "json", stream)
    set_persistent_log_context(exporter="e-1")
    set_log_context(lease="l-1")
    clear_log_context()
    LOG.info("hello")
    (entry,) = _entries(stream)
    assert entry["exporter"] == "e-1"
    assert "lease" not in entry


def test_unbind_forgets_everywhere():
    stream = io.StringIO()
    setup_logging("INFO", "json", stream)
    set_persistent_log_context(exporter="e-1")
    set_log_context(lease="l-1", client="c-1")
    unbind_log_context("exporter", "lease", "absent")
    LOG.info("hello")
    (entry,) = _entries(stream)
    assert entry["client"] == "c-1"
    assert not {"exporter", "lease"} & set(entry)


async def test_tasks_do_not_see_each_others_context():
    stream = io.StringIO()
    setup_logging("INFO", "json", stream)
    set_log_context(client="shared")

    async def work(lease: str) -> None:
        set_log_context(lease=lease)
        await anyio.lowlevel.checkpoint()
        await to_thread.run_sync(LOG.info, "in %s", lease)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work, "l-1")
        tasks.start_soon(work, "l-2")
    LOG.info("after")
    entries = _entries(stream)
    assert sorted(entry["message"] for entry in entries) == ["after", "in l-1", "in l-2"]
    for entry in entries:
        assert entry["client"] == "shared"
        assert entry["message"] in {"after", f"in {entry.get('lease')}"}
    assert "lease" not in entries[-1]
