"""The composition root: sessions and clients joined in one process, or in one shell.

Everything below knows nothing of its surroundings; here configuration, drivers, a session and a
client are put together.
"""

from collections.abc import AsyncGenerator, Generator
from contextlib import ExitStack, asynccontextmanager, contextmanager

from anyio.from_thread import BlockingPortal, start_blocking_portal

from jumpstarter.client.base import DriverClient
from jumpstarter.client.client import client_from_path
from jumpstarter.driver.base import Driver
from jumpstarter.exporter.session import Session
from jumpstarter.model.status import ExporterStatus


@asynccontextmanager
async def serve_async(
    root_device: Driver, portal: BlockingPortal, stack: ExitStack
) -> AsyncGenerator[DriverClient]:
    """Serve `root_device` on a temporary socket and yield a client of it."""
    with Session(root_device=root_device) as session:
        session.update_status(ExporterStatus.LEASE_READY)
        async with (
            session.serve_unix_async() as path,
            client_from_path(path, portal, stack, allow=[], unsafe=True) as client,
        ):
            yield client


@contextmanager
def serve(root_device: Driver) -> Generator[DriverClient]:
    """Serve `root_device` in a thread of its own and yield a client of it.

    What a test of a driver needs: a real client over a real socket.
    """
    with (
        start_blocking_portal("asyncio") as portal,
        ExitStack() as stack,
        portal.wrap_async_context_manager(serve_async(root_device, portal, stack)) as client,
    ):
        try:
            yield client
        finally:
            if hasattr(client, "close"):
                client.close()
