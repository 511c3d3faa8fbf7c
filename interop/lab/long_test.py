"""What takes minutes: hooks of 30 s, and shells that say nothing for more than 120 s.

All pairings wait at the same time, as the tasks of one test.
"""

import anyio
import pytest
from jumpstarter_lab import Lab

from .bench import Bench, Exporter, User
from .releases import Release, eventually

HOOK_SECONDS = 30
IDLE_SECONDS = 125
EMPTY_SECONDS = 10.0
START_SECONDS = 2.0
"""Between two starts, so that so many programs do not slow each other down too much."""

pytestmark = pytest.mark.timeout(400)


async def waits(user: User, board: Exporter, what: str, *arguments: str) -> None:
    """Use the exporter, however long it takes."""
    async with user.runs(user.use(board.name, what, *arguments)) as program:
        code = await program.ends(IDLE_SECONDS + 120)
        assert code == 0, f"{user.release.name} with {board.release.name}:\n{program.said}"
        found = program.said.splitlines()[-1]
        assert "false" not in found, found


async def hooked(user: User, board: Exporter) -> None:
    """Use the exporter, whose hook takes long.

    Clients of release 0.9.0 give up after 20 s, once: they release the lease and take another. By
    then the controller knows the exporter, and calls the lease ready when the hook has ended.
    """
    async with board.runs(), user.runs(user.power(board.name)) as program:
        code = await program.ends(HOOK_SECONDS * 6)
        assert code == 0, f"{user.release.name} with {board.release.name}:\n{program.said}"
        assert "the hook is done" in " ".join(program.said.split())


async def idle(user: User, board: Exporter) -> None:
    """Hold a shell and a stream without a word for more than two minutes."""
    async with board.runs():
        await waits(user, board, "idle", str(IDLE_SECONDS))


async def test_long_hooks_and_long_silence(bench: Bench, releases: dict[str, Release]):
    script = f"echo the hook begins; sleep {HOOK_SECONDS}; echo the hook is done"
    hooks = {"beforeLease": {"script": script, "timeout": 100, "onFailure": "endLease"}}
    async with anyio.create_task_group() as tasks:
        for owner in releases.values():
            for caller in releases.values():
                tasks.start_soon(idle, await bench.user(caller), await bench.exporter(owner))
                await anyio.sleep(START_SECONDS)
        for owner in releases.values():
            for caller in releases.values():
                board = await bench.exporter(owner, hooks)
                tasks.start_soon(hooked, await bench.user(caller), board)
                await anyio.sleep(START_SECONDS)


async def test_no_probe_streams_are_left_in_the_router(
    lab: Lab, bench: Bench, caller: Release, board: Exporter
):
    """Clients make a Dial that they do not use; what comes of it ends with the lease."""
    user = await bench.user(caller)
    await user.succeeds(user.use(board.name, "mark", "once"))
    await board.ready()

    async def is_empty() -> bool:
        return lab.router.streams == 0

    assert await eventually(is_empty, EMPTY_SECONDS), f"{lab.router.streams} streams are left"
