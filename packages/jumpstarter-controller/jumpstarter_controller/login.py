"""The login service: a page for people, what `jmp login` asks for, health, and numbers.

Plain HTTP, because in front of it stands whatever does TLS for the site; it tells nothing secret.
"""

import base64
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html import escape
from typing import Final

import anyio
from aiohttp import web

from .addresses import split_address

PAGE: Final = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Jumpstarter</title></head>
<body>
<h1>Jumpstarter</h1>
<p>This is a lab of devices. Log in from a terminal:</p>
<pre>jmp login {host}</pre>
</body>
</html>
"""

METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Ready = Callable[[], Awaitable[str | None]]
"""Says what keeps the controller from working, or None when it works."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginFacts:
    """What `jmp login` has to know; `ca` is PEM."""

    namespace: str
    grpc_endpoint: str
    router_endpoint: str | None = None
    ca: str = ""


def auth_config(facts: LoginFacts) -> dict[str, str]:
    """Return the answer to `/v1/auth/config`."""
    answer = {"grpcEndpoint": facts.grpc_endpoint, "namespace": facts.namespace}
    if facts.router_endpoint:
        answer["routerEndpoint"] = facts.router_endpoint
    if facts.ca:
        answer["caBundle"] = base64.b64encode(facts.ca.encode()).decode("ascii")
    return answer


@asynccontextmanager
async def serve_login(
    address: str, facts: Callable[[], LoginFacts], ready: Ready, metrics: Callable[[], str] = str
) -> AsyncGenerator[int]:
    """Serve on `address`, `host:port`; yield the bound port. Raises OSError when it is in use."""

    async def page(request: web.Request) -> web.Response:
        return web.Response(text=PAGE.format(host=escape(request.host)), content_type="text/html")

    async def config(_: web.Request) -> web.Response:
        return web.json_response(auth_config(facts()))

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        problem = await ready()
        return web.Response(text=f"{problem or 'ok'}\n", status=503 if problem else 200)

    async def numbers(_: web.Request) -> web.Response:
        return web.Response(text=metrics(), headers={"Content-Type": METRICS_TYPE})

    application = web.Application()
    application.router.add_get("/", page)
    application.router.add_get("/v1/auth/config", config)
    application.router.add_get("/metrics", numbers)
    application.router.add_get("/healthz", healthz)
    application.router.add_get("/readyz", readyz)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        host, port = split_address(address)
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            reason = error.strerror or error
            raise OSError(f"cannot listen on {address} for logins: {reason}") from error
        yield int(site.port)
    finally:
        with anyio.CancelScope(shield=True):
            await runner.cleanup()
