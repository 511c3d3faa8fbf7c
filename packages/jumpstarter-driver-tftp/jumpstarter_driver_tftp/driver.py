"""`Tftp`, the driver that serves its `storage` child by TFTP.

`start` and `stop` are calls of a client, and the server outlives the call that started it. So the
driver owns one scope, a thread with an event loop of its own and the server in it: `start` enters
it and returns once the port is bound, `stop` and `close` leave it, and nothing else does.
"""

import threading
from collections import Counter
from collections.abc import AsyncGenerator, Iterable
from contextlib import ExitStack, aclosing
from dataclasses import asdict, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, cast

from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter.common.ipaddr import get_ip_address
from jumpstarter.driver import Driver, export
from jumpstarter_driver_composite.driver import Proxy
from jumpstarter_driver_opendal.driver import Opendal
from opendal import AsyncOperator
from pydantic import AfterValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

from .binding import explain
from .errors import PortUnavailableError, ServerNotRunning, TftpError
from .hosting import Host, hosted
from .limits import Limits
from .names import path_below_root
from .options import MAX_WINDOW_BLOCKS
from .reports import Report, State, Status
from .server import TftpServer
from .views import Views

__all__ = ["ServerNotRunning", "Tftp", "TftpError", "TftpServer"]

STOP_SECONDS = 5.0
"""How long `stop` lets running transfers go on."""

CLOSE_SECONDS = 1.0
"""How long the end of a session does: nobody is there any more who powers the device."""

_DEFAULT_ROOT = "/var/lib/tftpboot"
_LIMITS = Limits()
_WILDCARDS = frozenset({"0.0.0.0", "::"})  # noqa: S104 - what it means is told to users


def _checked(views: dict[str, str]) -> dict[str, str]:
    Views(views)
    return views


Port = Annotated[int, Field(ge=0, le=65535)]
Positive = Annotated[int, Field(ge=1)]
Window = Annotated[int, Field(ge=1, le=MAX_WINDOW_BLOCKS)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Folders = Annotated[dict[str, str], AfterValidator(_checked)]


@dataclass(kw_only=True, config=ConfigDict(arbitrary_types_allowed=True, extra="forbid"))
class Tftp(Driver):
    """Serves files to devices that boot from the network, between `start` and `stop`.

    The files are those of `root_dir`; or, when the entry has a child `storage`, those of that
    Opendal driver, on whatever service it is. Raises TftpError when the directory cannot be made,
    and ConfigurationError for a child that is no storage.
    """

    driver_type: ClassVar[str] = "storage"

    root_dir: str = _DEFAULT_ROOT
    """The directory that is served; it is made when it is missing."""

    host: str = ""
    """Address to listen on; empty means this machine's address as its network sees it."""

    port: Port = 69
    """UDP port to listen on; 0 takes any free one, and `get_port` tells which."""

    remove_created_on_close: bool = True
    """Whether files that clients uploaded are removed when their session ends."""

    writable: bool = False
    """Whether devices may write files."""

    overwrite: bool = False
    """Whether devices may replace files that exist."""

    max_upload: Positive = 1 << 30
    """The largest file that a device may write, in bytes."""

    max_windowsize: Window = 64
    """The largest window that is granted, in blocks (RFC 7440)."""

    single_port: bool = False
    """Whether transfers use no other port than the one listened on, as NAT and containers need."""

    views: Folders = field(default_factory=dict[str, str])
    """Sub-directory that a device sees as the root, by its address or network: {10.0.0.7: board-1}.
    Of several networks the smallest counts; who is in none sees everything."""

    max_transfers: Positive = _LIMITS.transfers
    """How many transfers run at once."""

    max_transfers_per_client: Positive = _LIMITS.transfers_per_client
    """How many of them have clients at one address."""

    max_requests_per_second: Rate = _LIMITS.requests_per_second
    """How many requests of one address are answered, in the long run."""

    max_request_burst: Positive = _LIMITS.burst
    """How many of them may come at once."""

    server: TftpServer | None = field(init=False, repr=False, default=None)
    """The server while it runs."""

    storage: Opendal = field(init=False, repr=False)
    """The child through which clients reach the files."""

    @classmethod
    def client(cls) -> str:
        """Return the dotted path of the client class."""
        return "jumpstarter_driver_tftp.client.TftpServerClient"

    def __post_init__(self) -> None:
        """Find the child that holds the files, or make the directory and the child for it."""
        super().__post_init__()
        self._scope = ExitStack()
        self._changing = threading.Lock()
        self._host: Host | None = None
        self._history: list[Report] = []
        self.storage = self._given_storage() or self._made_storage()
        self.children["storage"] = self.storage
        self.host = self.host or get_ip_address(self.logger)

    @export
    def start(self) -> None:
        """Start to serve; returns when requests are answered. Does nothing when it serves already.

        Raises TftpError when the port cannot be had; the text says why and what to do.
        """
        with self._changing:
            if self._host is not None:
                self.logger.warning("TFTP server is already running")
                return
            self._host = self._started()
            self.server = self._host.server
            self.logger.info("TFTP server listens on udp://%s:%d", self.host, self.get_port())

    @export
    def stop(self) -> None:
        """Stop to serve: transfers go on for 5 s at most, then their clients are told."""
        with self._changing:
            if self._host is None:
                self.logger.warning("TFTP server is not running")
                return
            self._stop(STOP_SECONDS)
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

    @export
    def status(self) -> dict[str, Any]:
        """Return whether the server runs and where, what it does now and what it is set to do."""
        reports = self._known()
        host = get_ip_address(self.logger) if self.host in _WILDCARDS else self.host
        shown = f"[{host}]" if ":" in host else host
        port = self.get_port()
        return Status(
            running=self.server is not None,
            host=self.host,
            port=port,
            url=f"tftp://{shown}/" if port == 69 else f"tftp://{shown}:{port}/",  # noqa: PLR2004 - TFTP's own
            requests=max((report.number for report in reports), default=0),
            counts=Counter(report.state.value for report in reports),
            transfers=tuple(report for report in reports if report.state is State.RUNNING),
            settings={
                "writable": self.writable,
                "overwrite": self.overwrite,
                "max_upload": self.max_upload,
                "max_windowsize": self.max_windowsize,
                "single_port": self.single_port,
                "views": self.views,
            },
            limits=asdict(self._limits()),
        ).to_json()

    @export
    async def transfers(self, follow: bool = True) -> AsyncGenerator[dict[str, Any]]:  # noqa: FBT001, FBT002 - an exported method
        """Yield what is known of each request, the oldest first.

        With `follow`, while the server runs, then every change of one until the server stops.
        """
        host = self._host
        if host is None or not follow:
            for report in sorted(self._known(), key=lambda report: report.number):
                yield report.to_json()
            return
        async with aclosing(host.follow()) as reports:
            async for report in reports:
                yield report.to_json()

    def close(self) -> None:
        """Stop to serve, and remove what clients and devices wrote if so configured."""
        try:
            with self._changing:
                self._stop(CLOSE_SECONDS)
        finally:
            super().close()

    def _given_storage(self) -> Opendal | None:
        child = self.children.get("storage")
        if child is None:
            return None
        if not isinstance(child, Opendal | Proxy):
            message = (
                f"child storage: a {type(child).__name__} holds no files; name an Opendal driver"
            )
            raise ConfigurationError(message)
        if self.root_dir != _DEFAULT_ROOT:
            message = "root_dir and a child storage were both given; keep one of them"
            raise ConfigurationError(message)
        return cast("Opendal", child)

    def _made_storage(self) -> Opendal:
        root = Path(self.root_dir).absolute()
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            message = f"root_dir {self.root_dir!r}: {error.strerror}; name a directory to serve"
            raise TftpError(message) from None
        return Opendal(
            scheme="fs",
            kwargs={"root": str(root)},
            remove_created_on_close=self.remove_created_on_close,
        )

    def _limits(self) -> Limits:
        return Limits(
            transfers=self.max_transfers,
            transfers_per_client=self.max_transfers_per_client,
            requests_per_second=self.max_requests_per_second,
            burst=self.max_request_burst,
        )

    def _known(self) -> list[Report]:
        server = self.server
        return self._history if server is None else server.reports()

    def _started(self) -> Host:
        server = TftpServer(
            self.host,
            self.port,
            self._operator(),
            logger=self.logger,
            writable=self.writable,
            overwrite=self.overwrite,
            max_upload=self.max_upload,
            max_windowsize=self.max_windowsize,
            single_port=self.single_port,
            views=self.views,
            limits=self._limits(),
        )
        with ExitStack() as scope:
            try:
                host = scope.enter_context(hosted(server))
            except OSError as error:
                raise PortUnavailableError(explain(error, self.host, self.port)) from error
            self._scope = scope.pop_all()
        return host

    def _operator(self) -> AsyncOperator:
        # A proxy's target is known by now, and may be anything.
        operator: object = getattr(self.storage, "_operator", None)
        if isinstance(operator, AsyncOperator):
            return operator
        raise TftpError(
            "child storage: what its ref leads to holds no files; name an Opendal driver"
        )

    def _stop(self, grace: float) -> None:
        if self._host is None:
            return
        host, self._host = self._host, None
        try:
            host.stop(grace)
        finally:
            self.server = None
            self._scope.close()
            self._history = host.server.reports()
            self._count_among_created(host.uploads.values())

    def _count_among_created(self, uploads: Iterable[Report]) -> None:
        """Have the storage remove what devices wrote, as it removes what clients wrote."""
        views = Views(self.views)
        for report in uploads:
            path = (*views.find(report.address), *path_below_root(report.name))
            self.storage.register_path("/".join(path))
