"""Adapters: an async context manager, used from a thread without an event loop."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from threading import get_ident

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from jumpstarter.client.adapters import blocking


@dataclass
class _Client:
    """The part of a client that an adapter's wrapper needs, and a record of what happened."""

    portal: BlockingPortal
    seen: list[str] = field(default_factory=list[str])
    threads: set[int] = field(default_factory=set[int])


@blocking
@asynccontextmanager
async def opened(*, client: _Client, name: str = "stream") -> AsyncGenerator[str]:
    """Yield the name, upper-cased."""
    client.threads.add(get_ident())
    client.seen.append("enter")
    try:
        yield name.upper()
    except KeyError:
        client.seen.append("error")
        raise
    finally:
        client.seen.append("exit")


def test_adapter_runs_on_the_loop_of_its_client():
    with start_blocking_portal() as portal:
        client = _Client(portal)
        with opened(client=client, name="uart") as value:
            assert value == "UART"
            assert client.seen == ["enter"]
        assert client.seen == ["enter", "exit"]
        assert client.threads == {portal.call(get_ident)}


def test_an_error_inside_reaches_the_adapter_and_the_caller():
    with start_blocking_portal() as portal:
        client = _Client(portal)
        with pytest.raises(KeyError), opened(client=client):
            raise KeyError
        assert client.seen == ["enter", "error", "exit"]


def test_name_and_docstring_are_kept():
    assert getattr(opened, "__name__", None) == "opened"
    assert opened.__doc__ == "Yield the name, upper-cased."


def test_client_must_be_given_by_keyword():
    with start_blocking_portal() as portal:
        client = _Client(portal)
        with pytest.raises(TypeError, match=r"opened\(\) needs a driver client .* 'client'"):
            opened(client)  # pyright: ignore[reportCallIssue] - the mistake under test
