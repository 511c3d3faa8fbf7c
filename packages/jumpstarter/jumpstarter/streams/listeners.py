"""Listeners that live as long as a `with`: bound and accepting when entered, gone when left.

Each connection is one task in the listener's own task group; leaving cancels what still runs. What
a handler raises ends its connection, in a reset, and never the listener.
"""

import errno
import logging
import os
import socket
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
from anyio import AsyncContextManagerMixin, ContextManagerMixin
from anyio.abc import TaskGroup

from jumpstarter.model.errors import JumpstarterException

from .background import background_tasks
from .binding import bind_ports, bind_unix
from .sockets import SocketStream

ConnectionHandler = Callable[[SocketStream], Awaitable[object]]
"""Serves one connection; the listener closes what it leaves open."""

BACKLOG = 65536
"""Connections that may wait to be accepted; the kernel lowers it to its own limit."""

ACCEPTS_PER_WAKEUP = 64
"""Connections taken at once before those taken get to run."""

EXHAUSTED_PAUSE = 0.1
"""Seconds until another accept is tried when the process or the system is out of descriptors."""

_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_CONNECTION_ERRORS = (
    OSError,
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    anyio.EndOfStream,
)
_logger = logging.getLogger(__name__)


class TemporarySocket(ContextManagerMixin):
    """Yields a path for a Unix socket in a directory of its own, which it removes afterwards.

    The directory is only for its owner, in XDG_RUNTIME_DIR or else in the temporary directory.
    """

    @contextmanager
    def __contextmanager__(self) -> Generator[Path]:
        """Yield the path and remove it, with its directory, afterwards."""
        runtime = os.environ.get("XDG_RUNTIME_DIR")
        place = runtime if runtime and Path(runtime).is_dir() else None
        with tempfile.TemporaryDirectory(prefix="jumpstarter-", dir=place) as directory:
            yield Path(directory) / "socket"


@dataclass
class TemporaryUnixListener(AsyncContextManagerMixin):
    """Yields the path of a Unix socket on which each connection is given to `handler`.

    Without `path` it is a temporary one. The socket file is removed afterwards. Entering raises a
    subclass of OSError that names the path when it cannot be had.
    """

    handler: ConnectionHandler
    path: str | os.PathLike[str] | None = None

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Path]:
        """Listen, yield the path, then stop listening and cancel the handlers."""
        with ExitStack() as stack:
            path = Path(self.path or stack.enter_context(TemporarySocket()))
            sock = stack.enter_context(bind_unix(path))
            stack.callback(path.unlink, missing_ok=True)
            sock.listen(BACKLOG)
            async with _accepting([sock], self.handler):
                yield path


@dataclass
class TemporaryTcpListener(AsyncContextManagerMixin):
    """Yields the address, as `socket.connect` takes it, of a TCP listener that feeds `handler`.

    `local_host` None means every interface and `local_port` 0 a free port. A name with IPv4 and
    IPv6 addresses is listened to on all of them, on the same port, and the first, IPv4 before
    IPv6, is yielded. Entering raises a subclass of OSError that names the address when it cannot
    be had. With `reuse_port` other sockets of the same user may share an explicit port.
    """

    handler: ConnectionHandler
    local_host: str | None = "127.0.0.1"
    local_port: int = 0
    family: int = socket.AF_UNSPEC
    backlog: int = BACKLOG
    reuse_port: bool = True

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[tuple[str, int]]:
        """Listen, yield the address, then stop listening and cancel the handlers."""
        with ExitStack() as stack:
            bound = await bind_ports(
                self.local_host, self.local_port, family=self.family, reuse_port=self.reuse_port
            )
            for sock in bound:
                stack.enter_context(sock)
            for sock in bound:
                sock.listen(self.backlog)
            async with _accepting(bound, self.handler):
                yield bound[0].getsockname()


@asynccontextmanager
async def _accepting(
    bound: Sequence[socket.socket], handler: ConnectionHandler
) -> AsyncGenerator[None]:
    async with background_tasks() as tasks:
        for sock in bound:
            tasks.start_soon(_accept, sock, handler, tasks)
        yield


async def _accept(sock: socket.socket, handler: ConnectionHandler, tasks: TaskGroup) -> None:
    while True:
        await anyio.wait_readable(sock)
        try:
            for _ in range(ACCEPTS_PER_WAKEUP):
                connection, _ = sock.accept()
                tasks.start_soon(_serve, connection, handler)
        except (BlockingIOError, ConnectionError):
            # All taken, or the next one has left before its turn.
            pass
        except OSError as error:
            if error.errno not in _EXHAUSTED:
                raise
            _logger.warning("cannot accept a connection: %s", error.strerror)
            # The connection still waits, and nothing tells when a descriptor becomes free.
            await anyio.sleep(EXHAUSTED_PAUSE)


async def _serve(connection: socket.socket, handler: ConnectionHandler) -> None:
    stream = SocketStream(connection)
    try:
        await handler(stream)
    except JumpstarterException as error:
        _logger.warning("connection reset: %s", error)
        await stream.reset()
    except _CONNECTION_ERRORS as error:
        _logger.info("connection ended: %s: %s", type(error).__name__, error)
        await stream.reset()
    except Exception:
        _logger.exception("connection reset, because its handler failed")
        await stream.reset()
    finally:
        await stream.aclose()
