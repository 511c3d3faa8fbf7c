"""An exporter that is reached without a controller, in the shape of a lease."""

from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Self

from anyio import AsyncContextManagerMixin, ContextManagerMixin
from anyio.from_thread import BlockingPortal

from jumpstarter.rpc.channels import SystemTrust, TLSSettings

from .base import DriverClient
from .client import client_from_path


@dataclass(kw_only=True, eq=False)
class DirectLease(ContextManagerMixin, AsyncContextManagerMixin):
    """The exporter at `address`, which has no lease: nothing is asked for, and nothing ends."""

    address: str
    portal: BlockingPortal
    allow: Sequence[str]
    unsafe: bool
    tls_config: TLSSettings = field(default_factory=SystemTrust)
    grpc_options: Mapping[str, str | int] = field(default_factory=dict[str, str | int])
    insecure: bool = False
    passphrase: str | None = field(default=None, repr=False)

    name: str = field(default="direct", init=False)
    exporter_name: str = field(default="direct", init=False)
    exporter_labels: dict[str, str] = field(default_factory=dict[str, str], init=False)
    release: bool = field(default=False, init=False)
    lease_ended: bool = field(default=False, init=False)
    lease_transferred: bool = field(default=False, init=False)
    lease_ending_callback: object = field(default=None, init=False)

    @contextmanager
    def __contextmanager__(self) -> Generator[Self]:
        """Yield itself."""
        yield self

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        """Yield itself."""
        yield self

    @contextmanager
    def serve_unix(self) -> Generator[str]:
        """Yield the address, which needs no socket to stand for it."""
        yield self.address

    @asynccontextmanager
    async def serve_unix_async(self) -> AsyncGenerator[str]:
        """Yield the address, which needs no socket to stand for it."""
        yield self.address

    @contextmanager
    def connect(self) -> Generator[DriverClient]:
        """Yield the root client of the exporter; raises as `client_from_path`."""
        with (
            ExitStack() as stack,
            self.portal.wrap_async_context_manager(self.connect_async(stack)) as client,
        ):
            yield client

    @asynccontextmanager
    async def connect_async(self, stack: ExitStack) -> AsyncGenerator[DriverClient]:
        """Yield the root client of the exporter; raises as `client_from_path`."""
        async with client_from_path(
            self.address,
            self.portal,
            stack,
            self.allow,
            self.unsafe,
            tls_config=self.tls_config,
            grpc_options=self.grpc_options,
            insecure=self.insecure,
            passphrase=self.passphrase,
        ) as client:
            yield client

    @contextmanager
    def monitor(self, threshold: timedelta = timedelta(minutes=5)) -> Generator[None]:
        """Do nothing: there is no end to warn of."""
        del threshold
        yield

    @asynccontextmanager
    async def monitor_async(
        self, threshold: timedelta = timedelta(minutes=5)
    ) -> AsyncGenerator[None]:
        """Do nothing: there is no end to warn of."""
        del threshold
        yield
