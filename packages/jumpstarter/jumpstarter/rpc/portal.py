"""The one way to start an event loop for blocking code: a portal on uvloop.

grpc.aio wakes its loop several times per call, so the loop's own cost decides how many calls there
are per second.

uvloop runs Python's fork hooks in every child process, which asyncio's own loop does not. Those of
gRPC crash some of the children, so uvloop is used only where gRPC has been told not to have any.
"""

import asyncio
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from anyio.from_thread import BlockingPortal, start_blocking_portal

from jumpstarter.streams.malloc import keep_freed_memory

BACKEND: Final = "asyncio"

FORK_HOOKS: Final = "GRPC_ENABLE_FORK_SUPPORT"
"""Environment variable with what gRPC read when it was imported: "0" for no fork hooks."""


def new_loop() -> asyncio.AbstractEventLoop:
    """Return a new event loop: uvloop's, if the child processes survive it."""
    # uvloop is only imported by those who start a loop.
    from .loops import PlainLoop, UvLoop  # noqa: PLC0415

    return UvLoop() if os.environ.get(FORK_HOOKS) == "0" else PlainLoop()


LOOP_OPTIONS: Final[Mapping[str, Any]] = {"loop_factory": new_loop}
"""What `anyio.run` takes as `backend_options` for a loop like the portal's."""


@contextmanager
def open_portal() -> Generator[BlockingPortal]:
    """Yield a portal into an event loop that runs in a thread of its own."""
    keep_freed_memory()
    with start_blocking_portal(BACKEND, backend_options=dict(LOOP_OPTIONS)) as portal:
        yield portal
