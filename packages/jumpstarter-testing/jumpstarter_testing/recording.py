"""What a device said while a test ran: the output of its consoles, and the exporter's log.

Rule: a console is recorded where the test reads it. What nobody reads is not read here either,
because it would be missing to the test that reads it next.
"""

import logging
import re
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from threading import Condition
from typing import Any, Final

from anyio.abc import ObjectStream
from jumpstarter.client.base import DriverClient
from jumpstarter.client.logs import log_stream

CONSOLE_BYTES: Final = 1 << 16
"""How much of a console's output a test keeps: its end."""

LOG_RECORDS: Final = 200
"""How many records of the log a test keeps: the last."""

QUIET_SECONDS: Final = 0.1
MOST_SECONDS: Final = 0.5
"""How long a failed test waits for what is still under way, at least and at most."""

_LINE = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]")


def console_text(data: bytes) -> str:
    """Return `data` as lines that can be shown: no colours, and no control characters."""
    text = data.decode(errors="replace").replace("\r\n", "\n")
    return _CONTROL.sub("", text)


@dataclass
class Output:
    """The output of one console; written on the client's loop, taken by the test's thread."""

    _chunks: deque[bytes] = field(default_factory=deque[bytes], init=False)
    _size: int = field(default=0, init=False)
    _changed: Condition = field(default_factory=Condition, init=False)

    def add(self, data: bytes) -> None:
        """Keep `data`, and drop what is too old for it."""
        with self._changed:
            self._chunks.append(data[-CONSOLE_BYTES:])
            self._size += len(self._chunks[-1])
            while self._size - len(self._chunks[0]) >= CONSOLE_BYTES:
                self._size -= len(self._chunks.popleft())

    def take(self) -> str:
        """Return what there is, and begin anew."""
        with self._changed:
            data = b"".join(self._chunks)[-CONSOLE_BYTES:]
            self._chunks.clear()
            self._size = 0
        return console_text(data)


@dataclass(kw_only=True)
class RecordedStream(ObjectStream[bytes]):
    """`stream`, whose output is told to `heard` when it is received."""

    stream: ObjectStream[bytes]
    heard: Callable[[bytes], None]

    async def receive(self) -> bytes:
        """Return the next chunk, and record it."""
        data = await self.stream.receive()
        self.heard(data)
        return data

    async def send(self, item: bytes) -> None:
        """Send `item`."""
        await self.stream.send(item)

    async def send_eof(self) -> None:
        """Tell the device that no more follows."""
        await self.stream.send_eof()

    async def aclose(self) -> None:
        """Close the stream."""
        await self.stream.aclose()

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """Those of the stream."""
        stream: Any = self.stream
        return stream.extra_attributes


def recorded_consoles(root: DriverClient, names: frozenset[str]) -> dict[str, Output]:
    """Record the streams of the drivers below `root` with one of these names; return by path."""
    consoles: dict[str, Output] = {}
    for path, client in _tree(root, ""):
        if path.rpartition(".")[2] in names:
            consoles[path] = Output()
            _record(client, consoles[path].add)
    return consoles


def _tree(client: DriverClient, path: str) -> Iterator[tuple[str, DriverClient]]:
    for name, child in client.children.items():
        below = f"{path}.{name}" if path else name
        yield below, child
        yield from _tree(child, below)


def _record(client: DriverClient, heard: Callable[[bytes], None]) -> None:
    """Let every stream of `client` be recorded; adapters and `stream` open theirs the same way."""
    plain = client.stream_async

    @asynccontextmanager
    async def recorded(method: str = "connect"):  # noqa: ANN202 - as the method that it stands for
        async with plain(method) as stream:
            yield RecordedStream(stream=stream, heard=heard)

    client.__dict__["stream_async"] = recorded


@dataclass
class ExporterLog:
    """The records of the exporter's log, since they were last taken."""

    _lines: deque[str] = field(default_factory=lambda: deque[str](maxlen=LOG_RECORDS), init=False)
    _changed: Condition = field(default_factory=Condition, init=False)

    def hear(self, record: logging.LogRecord) -> None:
        """Keep the record as its line."""
        line = _LINE.format(record)
        with self._changed:
            self._lines.append(line)
            self._changed.notify_all()

    def take(self) -> str:
        """Return the lines that there are, and begin anew."""
        with self._changed:
            text = "\n".join(self._lines)
            self._lines.clear()
        return text

    def settle(self, now: Callable[[], float]) -> None:
        """Wait until no more records come, for they travel on a stream of their own."""
        until = now() + MOST_SECONDS
        with self._changed:
            while now() < until and self._changed.wait(QUIET_SECONDS):
                pass


@contextmanager
def exporter_log(client: DriverClient) -> Generator[ExporterLog]:
    """Collect the exporter's log inside the context."""
    log = ExporterLog()
    stream = log_stream(client.stub, show_all_logs=True, hear=log.hear)
    with client.portal.wrap_async_context_manager(stream):
        yield log
