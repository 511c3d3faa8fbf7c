"""Storage devices: plain files stand in for them, and appear, shrink and vanish as devices do."""

import errno
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import pytest
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from anyio.streams.stapled import StapledObjectStream

from jumpstarter.driver import storage
from jumpstarter.driver.storage import (
    flush_device,
    read_from_storage_device,
    until_it_succeeds,
    wait_for_storage_device,
    write_to_storage_device,
)

IMAGE = os.urandom(3 * (1 << 20) + 17)
ITEMS = 100

Far = tuple[MemoryObjectSendStream[bytes], MemoryObjectReceiveStream[bytes]]


def _resource() -> tuple[StapledObjectStream[bytes], Far]:
    """Return a resource, and what the client holds: where it sends and where it receives."""
    to_driver, from_client = anyio.create_memory_object_stream[bytes](ITEMS)
    to_client, from_driver = anyio.create_memory_object_stream[bytes](ITEMS)
    return StapledObjectStream(to_client, from_client), (to_driver, from_driver)


@pytest.fixture
def device(tmp_path: Path) -> Path:
    path = tmp_path / "device"
    path.write_bytes(b"\0" * len(IMAGE) + b"tail")
    return path


class _OnFirstRecord(logging.Handler):
    """Runs an action when something is logged for the first time: when the wait has begun."""

    def __init__(self, action: Callable[[], object]) -> None:
        super().__init__()
        self._action: Callable[[], object] | None = action

    def emit(self, record: logging.LogRecord) -> None:
        del record
        if self._action is not None:
            action, self._action = self._action, None
            action()


def _log_that_runs(action: Callable[[], object]) -> logging.Logger:
    log = logging.Logger("test", logging.INFO)
    log.addHandler(_OnFirstRecord(action))
    return log


async def test_write_copies_everything_and_keeps_what_is_behind(device: Path):
    resource, (client, answers) = _resource()
    async with resource, client, answers:
        for start in range(0, len(IMAGE), 1 << 16):
            await client.send(IMAGE[start : start + (1 << 16)])
        await client.send(b"")
        await client.aclose()
        await write_to_storage_device(device, resource, leeway=0)
    assert await anyio.Path(device).read_bytes() == IMAGE + b"tail"


async def test_read_sends_the_whole_device_and_leaves_the_resource_open(device: Path):
    resource, (client, answers) = _resource()
    async with resource, client, answers:
        await read_from_storage_device(device, resource)
        await resource.send(b"still open")
        await resource.aclose()
        received = b"".join([chunk async for chunk in answers])
    assert received == await anyio.Path(device).read_bytes() + b"still open"


async def test_leeway_comes_after_the_write(device: Path):
    resource, (client, answers) = _resource()
    async with resource, client, answers:
        await client.send(b"image")
        await client.aclose()
        started = anyio.current_time()
        await write_to_storage_device(device, resource, leeway=0.1)
        assert anyio.current_time() - started >= 0.1
    assert (await anyio.Path(device).read_bytes()).startswith(b"image")


async def test_wait_returns_what_was_given(device: Path):
    assert await wait_for_storage_device(device, "rb") is device
    assert await wait_for_storage_device(str(device), "wb") == str(device)


async def test_wait_until_the_device_appears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(storage, "_RETRY_INTERVAL", 0.01)
    path = tmp_path / "late"
    log = _log_that_runs(lambda: path.write_bytes(b"x"))
    assert await wait_for_storage_device(path, "rb", logger=log) == path


async def test_wait_until_the_device_has_a_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(storage, "_RETRY_INTERVAL", 0.01)
    path = tmp_path / "empty"
    path.touch()
    log = _log_that_runs(lambda: path.write_bytes(b"x"))
    assert await wait_for_storage_device(path, "wb", logger=log) == path


async def test_device_that_never_comes_is_named(tmp_path: Path):
    with pytest.raises(TimeoutError, match=r"absent is not ready after 0\.1 s"):
        await wait_for_storage_device(tmp_path / "absent", "rb", 0.1)


async def test_what_waiting_does_not_cure_is_raised_at_once(tmp_path: Path):
    with anyio.fail_after(5), pytest.raises(IsADirectoryError):
        await wait_for_storage_device(tmp_path, "wb", 3600)


async def test_broken_resource_is_raised(device: Path):
    class _Broken(StapledObjectStream[bytes]):
        async def receive(self) -> bytes:
            raise anyio.BrokenResourceError

    resource, (client, answers) = _resource()
    async with resource, client, answers:
        broken = _Broken(resource.send_stream, resource.receive_stream)
        with pytest.raises(anyio.BrokenResourceError):
            await write_to_storage_device(device, broken, leeway=0)


async def test_progress_is_logged_when_a_multiple_is_passed(
    device: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(storage, "_REPORT_EVERY", 1 << 20)
    caplog.set_level(logging.INFO)
    resource, (client, answers) = _resource()
    async with resource, client, answers:
        await read_from_storage_device(device, resource)
    done = [record.message.rpartition(": ")[2] for record in caplog.records]
    assert done == ["1 MiB done", "2 MiB done", "3 MiB done", f"{len(IMAGE) + 4} bytes read"]


def _fails_with(*codes: int) -> tuple[Callable[[], Awaitable[None]], list[int]]:
    """Return an attempt that fails with each of `codes` in turn, and what is left of them."""
    left = list(codes)

    async def attempt() -> None:
        if left:
            code = left.pop(0)
            raise OSError(code, os.strerror(code))

    return attempt, left


@pytest.mark.parametrize("code", [errno.ENOENT, errno.EIO, errno.ENOMEDIUM])
async def test_errors_of_a_device_on_its_way_are_waited_out(
    code: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(storage, "_RETRY_INTERVAL", 0)
    attempt, left = _fails_with(code, code)
    await until_it_succeeds(attempt, logging.getLogger())
    assert left == []


async def test_other_errors_are_not_waited_out():
    attempt, left = _fails_with(errno.EACCES, errno.EACCES)
    with pytest.raises(PermissionError):
        await until_it_succeeds(attempt, logging.getLogger())
    assert left == [errno.EACCES]


async def test_flush_of_a_closed_file_is_an_error(device: Path):
    with device.open("rb") as file:
        number = file.fileno()
    with pytest.raises(OSError, match="Bad file descriptor"):
        await flush_device(number, str(device), 1, logging.getLogger())
