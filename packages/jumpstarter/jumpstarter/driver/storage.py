"""Copies images to and from storage devices that come and go, such as a card behind a multiplexer.

A device that was just switched over is absent at first, then empty, then answers with input/output
errors; only what lasts longer than its time-out is an error. Nothing tells that the device is
ready, so it is asked once a second.
"""

import errno
import logging
import os
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Final, Literal

import anyio
from anyio import AsyncFile, to_thread
from anyio.abc import ByteStream, ObjectStream

__all__ = [
    "write_to_storage_device",
    "read_from_storage_device",
    "wait_for_storage_device",
]

_log = logging.getLogger(__name__)

_CHUNK: Final = 1 << 20
_REPORT_EVERY: Final = 50 << 20
_RETRY_INTERVAL: Final = 1.0
_OPEN_FLAGS: Final = {"rb": os.O_RDONLY, "wb": os.O_WRONLY}

# ENOMEDIUM exists on Linux only; clients elsewhere import this module too.
_PASSING: Final = frozenset({errno.ENOENT, errno.EIO, getattr(errno, "ENOMEDIUM", errno.ENOENT)})


async def write_to_storage_device(
    storage_device: str | os.PathLike[str],
    resource: ObjectStream[bytes] | ByteStream,
    timeout: float = 10,  # noqa: ASYNC109 - public API
    fsync_timeout: float = 900,
    leeway: float = 6,
    *,
    logger: logging.Logger | None = None,
) -> None:
    """Copy all of `resource` to the start of the device, and return when the device has it.

    The device is waited for during `timeout` seconds, then written, then flushed during
    `fsync_timeout` seconds, then given `leeway` seconds to settle. Raises TimeoutError when one of
    the first two times is over, OSError when the device fails otherwise.
    """
    log = logger or _log
    device = os.fspath(storage_device)
    await wait_for_storage_device(device, "wb", timeout, logger=log)
    # "r+b" and not "wb": opening must not cut short what may be a plain file.
    async with await anyio.open_file(device, "r+b") as file:
        total = await _copy_to_file(resource, file, device, log)
        await file.flush()
        await flush_device(file.wrapped.fileno(), device, fsync_timeout, log)
    log.info("%s: %d bytes written", device, total)
    # The device may still move data inside itself, and nothing tells when it is done.
    await anyio.sleep(leeway)


async def read_from_storage_device(
    storage_device: str | os.PathLike[str],
    resource: ObjectStream[bytes] | ByteStream,
    timeout: float = 10,  # noqa: ASYNC109 - public API
    *,
    logger: logging.Logger | None = None,
) -> None:
    """Copy the whole device to `resource`, which stays open.

    The device is waited for during `timeout` seconds; TimeoutError when they are over. Raises
    OSError when the device fails.
    """
    log = logger or _log
    device = os.fspath(storage_device)
    await wait_for_storage_device(device, "rb", timeout, logger=log)
    total = 0
    async with await anyio.open_file(device, "rb") as file:
        while chunk := await file.read(_CHUNK):
            await resource.send(chunk)
            total += len(chunk)
            _report(log, device, total - len(chunk), total)
    log.info("%s: %d bytes read", device, total)


async def wait_for_storage_device(
    storage_device: str | os.PathLike[str],
    mode: Literal["wb", "rb"],
    timeout: float = 10,  # noqa: ASYNC109 - public API
    *,
    logger: logging.Logger | None = None,
) -> str | os.PathLike[str]:
    """Wait until the device can be opened and has a size, and return it.

    Raises TimeoutError after `timeout` seconds, and OSError at once for what waiting does not cure,
    such as a missing permission.
    """
    log = logger or _log
    device = os.fspath(storage_device)

    async def probe() -> None:
        if await to_thread.run_sync(_size, device, _OPEN_FLAGS[mode]) == 0:
            raise OSError(errno.EIO, "no medium, the size is 0", device)

    with _explained(f"storage device {device} is not ready after {timeout} s: check that it is on"):
        with anyio.fail_after(timeout):
            await until_it_succeeds(probe, log)
    return storage_device


def _size(device: str, flags: int) -> int:
    descriptor = os.open(device, flags)
    try:
        return os.lseek(descriptor, 0, os.SEEK_END)
    finally:
        os.close(descriptor)


async def _copy_to_file(
    resource: ObjectStream[bytes] | ByteStream,
    file: AsyncFile[bytes],
    device: str,
    log: logging.Logger,
) -> int:
    total = 0
    async for chunk in resource:
        await file.write(chunk)
        total += len(chunk)
        _report(log, device, total - len(chunk), total)
    return total


async def flush_device(descriptor: int, device: str, timeout_s: float, log: logging.Logger) -> None:
    """Wait until the kernel has handed everything to the device; TimeoutError after a time."""

    async def flush() -> None:
        await to_thread.run_sync(os.fsync, descriptor)

    with _explained(f"storage device {device} is not flushed after {timeout_s} s"):
        with anyio.fail_after(timeout_s):
            await until_it_succeeds(flush, log)


async def until_it_succeeds(attempt: Callable[[], Awaitable[None]], log: logging.Logger) -> None:
    """Repeat `attempt` while its error is one that a device shows on its way to being ready."""
    while True:
        try:
            return await attempt()
        except OSError as error:
            if error.errno not in _PASSING:
                raise
            log.info("waiting: %s", error)
        # The device is hardware that announces nothing.
        await anyio.sleep(_RETRY_INTERVAL)


@contextmanager
def _explained(message: str) -> Generator[None]:
    """Give a TimeoutError, which has no text of its own, this one."""
    try:
        yield
    except TimeoutError as error:
        raise TimeoutError(message) from error


def _report(log: logging.Logger, device: str, before: int, after: int) -> None:
    """Log each time when the bytes done pass a multiple of `_REPORT_EVERY`."""
    if before // _REPORT_EVERY != after // _REPORT_EVERY:
        log.info("%s: %d MiB done", device, after >> 20)
