"""A controller or a router that is killed: what was open goes on, and everything comes back."""

import os
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack

import anyio
import pytest

from .bench import MIB, Exporter, User, digest
from .processes import Site, running_site
from .releases import OURS, Release

OUTAGE = float(os.environ.get("JUMPSTARTER_OUTAGE_SECONDS", "3"))
"""How long the controller is away, at least; 120 is what is promised."""

PAUSE = 0.1
BEFORE, AFTER = 3.0, 4.0
"""Seconds that a transfer goes on before the outage, and at least after it."""

BACK_SECONDS = 60.0
"""Until exporters of release 0.9.0 are back, which end and start again."""

SIZE = int((BEFORE + OUTAGE + AFTER) / PAUSE) * MIB

pytestmark = pytest.mark.timeout(300 + OUTAGE)


@pytest.fixture(scope="module")
async def site(
    anyio_backend: str,  # noqa: ARG001 - the loop
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncGenerator[Site]:
    async with running_site(tmp_path_factory.mktemp("site"), PAUSE) as site:
        yield site


async def transferred(user: User, exporter: Exporter, began: anyio.Semaphore) -> None:
    """Take many bytes, and check them; release `began` when they flow, and when all are there."""
    async with user.runs(user.use(exporter.name, "transfer", str(SIZE))) as program:
        await program.says("begins")
        began.release()
        code = await program.ends(BEFORE + OUTAGE + SIZE / MIB * PAUSE * 3 + 60)
        assert (code, digest(SIZE) in program.said) == (0, True), program.said
        began.release()


async def test_transfers_outlive_a_controller_that_is_killed(
    site: Site, releases: dict[str, Release]
):
    bench, began = site.bench, anyio.Semaphore(0)
    boards = [await bench.exporter(OURS) for _ in releases]
    idle = await bench.exporter(OURS)
    held = list[str]()
    async with AsyncExitStack() as stack:
        for board in (*boards, idle):
            await stack.enter_async_context(board.started())
        for board in (*boards, idle):
            await board.ready()
        async with anyio.create_task_group() as transfers:
            for caller, board in zip(releases.values(), boards, strict=True):
                transfers.start_soon(transferred, await bench.user(caller), board, began)
            for _ in boards:
                await began.acquire()
            held += [await bench.lease_of(board.name) for board in boards]
            bench.source.gate.set()
            await anyio.sleep(BEFORE)
            await site.kill(site.controller)
            await anyio.sleep(OUTAGE)
            assert began.value == 0
            await site.start_controller()
        await usable(site, [*boards, idle])
        had = [await bench.leases_of(board.name, only_active=False) for board in boards]
        assert [names[:1] for names in had] == [[name] for name in held]
        assert [len(names) for names in had] == [2, 2]


async def test_published_exporters_come_back_when_their_controller_does(
    site: Site, published: Release
):
    """They do not keep their session for long, and they have to be there again by themselves."""
    bench = site.bench
    board, idle, user = (
        await bench.exporter(published),
        await bench.exporter(published),
        await bench.user(OURS),
    )
    async with board.runs(), idle.runs():
        async with user.runs(user.use(board.name, "pound", "before")) as program:
            await program.says("begins")
            await site.kill(site.controller)
            await site.start_controller()
            await bench.admin.release_lease(await bench.lease_of(board.name))
            await program.ends()
        await usable(site, [board, idle])


async def usable(site: Site, boards: list[Exporter]) -> None:
    """Check that all exporters can be used, without anybody having restarted anything."""
    await site.has_router()
    user = await site.bench.user(OURS)
    for board in boards:
        await board.ready(BACK_SECONDS)
        await user.succeeds(user.use(board.name, "mark", "again"))
        await board.until_free()


async def test_a_lease_can_be_used_again_after_its_router_was_killed(
    site: Site, releases: dict[str, Release], offering: Release
):
    bench = site.bench
    board = await bench.exporter(offering)
    async with board.runs():
        users = [await bench.user(release) for release in releases.values()]
        for user in users:
            await user.succeeds(user.use(board.name, "mark", "before"))
        await site.kill(site.router)
        await site.start_router()
        for user in users:
            await user.succeeds(user.use(board.name, "mark", "after"))
            await board.ready()


async def test_an_open_shell_goes_on_after_controller_and_router_were_killed(
    site: Site, caller: Release
):
    """What runs in it reaches the device again, with the lease that it had."""
    bench = site.bench
    board, user = await bench.exporter(OURS), await bench.user(caller)
    gate = bench.folder / f"{user.name}.gate"
    os.mkfifo(gate)
    script = '"$0" power on && echo begins && cat "$1" && "$0" power off && echo went on'
    words = ["sh", "-c", script, caller.j, str(gate)]
    async with (
        board.runs(),
        user.runs(user.shell("--selector", f"board={board.name}", "--", *words)) as program,
    ):
        await program.says("begins")
        held = await bench.lease_of(board.name)
        await site.kill(site.controller)
        await site.kill(site.router)
        await site.start_controller()
        await site.start_router()
        await board.until(lambda found: found.online)
        await anyio.Path(gate).write_text("")
        assert (await program.ends(), "went on" in program.said) == (0, True), program.said
        assert await bench.leases_of(board.name, only_active=False) == [held]
