"""Tasks that serve the body of a `with` and do not outlive it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
from anyio.abc import TaskGroup


@asynccontextmanager
async def background_tasks() -> AsyncGenerator[TaskGroup]:
    """Yield a task group whose tasks are cancelled when the body ends.

    A single exception, of the body or of a task, comes out as itself and not in a group: who
    opens a listener need not know that it has tasks.
    """
    try:
        async with anyio.create_task_group() as tasks:
            yield tasks
            tasks.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        single, *others = group.exceptions
        if others:
            raise
        # Its own cause, and not the group that it has just been taken from.
        raise single from single.__cause__
