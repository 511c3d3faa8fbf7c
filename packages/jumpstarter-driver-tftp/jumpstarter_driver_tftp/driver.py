"""`Tftp`, the driver that serves its `storage` child by TFTP.

`start` and `stop` are calls of a client, and the server outlives the call that started it. So the
driver owns one scope, a thread with an event loop of its own and the server's task in it: `start`
enters it and returns once the port is bound, `stop` and `close` leave it, and nothing else does.
"""

import threading
from contextlib import ExitStack
from dataclasses import field
from pathlib import Path
from typing import Annotated, ClassVar

from anyio.from_thread import start_blocking_portal
from jumpstarter.common.ipaddr import get_ip_address
from jumpstarter.driver import Driver, export
from jumpstarter_driver_opendal.driver import Opendal
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from .binding import explain
from .errors import PortUnavailableError, ServerNotRunning, TftpError
from .server import TftpServer

__all__ = ["ServerNotRunning", "Tftp", "TftpError", "TftpServer"]

Port = Annotated[int, Field(ge=0, le=65535)]


@dataclass(kw_only=True, config=ConfigDict(arbitrary_types_allowed=True, extra="forbid"))
class Tftp(Driver):
    """Serves a directory to devices that boot from the network, between `start` and `stop`.

    Raises TftpError when the directory cannot be made.
    """

    driver_type: ClassVar[str] = "storage"

    root_dir: str = "/var/lib/tftpboot"
    """The directory that is served; it is made when it is missing."""

    host: str = ""
    """Address to listen on; empty means this machine's address as its network sees it."""

    port: Port = 69
    """UDP port to listen on; 0 takes any free one, and `get_port` tells which."""

    remove_created_on_close: bool = True
    """Whether files that clients uploaded are removed when their session ends."""

    server: TftpServer | None = field(init=False, repr=False, default=None)
    """The server while it runs."""

    storage: Opendal = field(init=False, repr=False)
    """The child through which clients reach the files."""

    @classmethod
    def client(cls) -> str:
        """Return the dotted path of the client class."""
        return "jumpstarter_driver_tftp.client.TftpServerClient"

    def __post_init__(self) -> None:
        """Make the directory, and the child that holds it."""
        super().__post_init__()
        self._scope = ExitStack()
        self._changing = threading.Lock()
        root = Path(self.root_dir).absolute()
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            message = f"root_dir {self.root_dir!r}: {error.strerror}; name a directory to serve"
            raise TftpError(message) from None
        self.host = self.host or get_ip_address(self.logger)
        self.storage = Opendal(
            scheme="fs",
            kwargs={"root": str(root)},
            remove_created_on_close=self.remove_created_on_close,
        )
        self.children["storage"] = self.storage

    @export
    def start(self) -> None:
        """Start to serve; returns when requests are answered. Does nothing when it serves already.

        Raises TftpError when the port cannot be had; the text says why and what to do.
        """
        with self._changing:
            if self.server is not None:
                self.logger.warning("TFTP server is already running")
                return
            self.server = self._started()
            self.logger.info("TFTP server listens on udp://%s:%d", self.host, self.get_port())

    @export
    def stop(self) -> None:
        """Stop to serve; clients in the middle of a transfer are told."""
        with self._changing:
            if self.server is None:
                self.logger.warning("TFTP server is not running")
                return
            self._stop()
            self.logger.info("TFTP server stopped")

    @export
    def get_host(self) -> str:
        """Return the address that is, or would be, listened on."""
        return self.host

    @export
    def get_port(self) -> int:
        """Return the port that is listened on; the configured one while the server is stopped."""
        address = None if self.server is None else self.server.address
        return self.port if address is None else address[1]

    def close(self) -> None:
        """Stop to serve, and remove what clients uploaded if so configured."""
        try:
            with self._changing:
                self._stop()
        finally:
            super().close()

    def _started(self) -> TftpServer:
        operator = self.storage._operator  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - a storage driver offers it so
        server = TftpServer(self.host, self.port, operator, logger=self.logger)
        with ExitStack() as scope:
            portal = scope.enter_context(start_blocking_portal("asyncio"))
            try:
                scope.enter_context(portal.wrap_async_context_manager(server.running()))
            except OSError as error:
                raise PortUnavailableError(explain(error, self.host, self.port)) from error
            self._scope = scope.pop_all()
        return server

    def _stop(self) -> None:
        self.server = None
        self._scope.close()
