"""The login service: what people read, what `jmp login` reads, and whether all is well."""

import base64
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from jumpstarter.model.errors import ConfigurationError

from .login import LoginFacts, auth_config, serve_login

FACTS = LoginFacts(namespace="lab", grpc_endpoint="lab.example.com:8082", ca="PEM")


@asynccontextmanager
async def served(problem: str | None = None) -> AsyncGenerator[aiohttp.ClientSession]:
    async def ready() -> str | None:
        return problem

    async with (
        serve_login("127.0.0.1:0", lambda: FACTS, ready) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
    ):
        yield session


async def test_the_page_says_how_to_log_in() -> None:
    async with served() as session, session.get("/", headers={"Host": "<b>"}) as answer:
        text = await answer.text()

    assert answer.content_type == "text/html"
    assert "Jumpstarter" in text
    assert "jmp login &lt;b&gt;" in text


async def test_what_a_login_has_to_know() -> None:
    async with served() as session, session.get("/v1/auth/config") as answer:
        assert answer.content_type == "application/json"
        told = await answer.json()

    assert told == {
        "grpcEndpoint": "lab.example.com:8082",
        "namespace": "lab",
        "caBundle": base64.b64encode(b"PEM").decode(),
    }


def test_what_is_not_there_is_left_out() -> None:
    bare = LoginFacts(namespace="lab", grpc_endpoint="a:1", router_endpoint="b:2")

    assert auth_config(bare) == {"grpcEndpoint": "a:1", "namespace": "lab", "routerEndpoint": "b:2"}


@pytest.mark.parametrize(("problem", "status"), [(None, 200), ("the disk is full", 503)])
async def test_health_and_readiness(problem: str | None, status: int) -> None:
    async with served(problem) as session:
        async with session.get("/healthz") as health:
            assert health.status == 200
        async with session.get("/readyz") as ready:
            assert ready.status == status
            assert (problem or "ok") in await ready.text()


async def test_other_paths_and_methods() -> None:
    async with served() as session:
        async with session.get("/../etc/passwd") as answer:
            assert answer.status == 404
        async with session.post("/v1/auth/config") as answer:
            assert answer.status == 405


async def test_an_address_in_use_or_that_is_none() -> None:
    async with served() as session:
        async with session.get("/") as answer:
            address = f"127.0.0.1:{answer.url.port}"
        with pytest.raises(OSError, match="cannot listen"):
            async with serve_login(address, lambda: FACTS, _ready):
                pass
    for text in ("x", "127.0.0.1:x", "127.0.0.1:70000", ":"):
        with pytest.raises(ConfigurationError, match="host:port"):
            async with serve_login(text, lambda: FACTS, _ready):
                pass


async def _ready() -> str | None:
    return None
