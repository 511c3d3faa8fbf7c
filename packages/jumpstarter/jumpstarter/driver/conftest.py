"""A web server for the tests of transfers that the exporter makes by itself."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TypeAlias

import pytest
from aiohttp import web

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve: TypeAlias = Callable[[Handler], Awaitable[str]]


@pytest.fixture
async def serve_http() -> AsyncGenerator[Serve]:
    """What serves a handler for every path, on a port of its own, and returns the origin."""
    async with AsyncExitStack() as stack:

        async def start(handler: Handler) -> str:
            app = web.Application(client_max_size=0)
            app.router.add_route("*", "/{path:.*}", handler)
            runner = web.AppRunner(
                app, shutdown_timeout=0, handler_cancellation=True, access_log=None
            )
            stack.push_async_callback(runner.cleanup)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            port: int = runner.addresses[0][1]
            return f"http://127.0.0.1:{port}"

        yield start
