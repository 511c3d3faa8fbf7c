"""Lane compat old-client of README.md: clients and exporters of release 0.7.4.

The tests are named by the identifiers there, and follow each other as they do there.
"""

import anyio
import pytest

from .bench import Bench, Exporter
from .releases import OURS, Release, peer

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def old() -> Release:
    return peer("0.7.4", "old")


@pytest.fixture(scope="module")
async def board(bench: Bench, old: Release) -> Exporter:
    return await bench.exporter(old)


async def test_oc_1_to_6_the_old_exporter_is_used_by_old_and_new(
    bench: Bench, old: Release, published: Release, board: Exporter
):
    async with board.started():
        await online(board)
        for release in (old, OURS, published, old):
            user = await bench.user(release)
            await user.succeeds(user.power(board.name))
            await board.until_free()
            await online(board)


async def online(board: Exporter) -> None:
    """Wait until it is; it need not report a status."""
    await board.until(lambda found: found.online and found.registered)


async def test_oc_7_to_9_the_old_exporter_is_killed_and_comes_back(
    bench: Bench, old: Release, board: Exporter
):
    async with board.started() as program:
        await online(board)
        program.kill()
        await program.ends()
        await board.until(lambda found: not found.online, 100)
    async with board.started():
        await online(board)
        user = await bench.user(old)
        await user.succeeds(user.power(board.name))


async def test_oc_10_a_client_that_came_before_its_exporter(bench: Bench, old: Release):
    board, user = await bench.exporter(old), await bench.user(OURS)
    async with user.runs(user.power(board.name)) as shell:
        await anyio.sleep(5)
        assert shell.runs
        async with board.started():
            assert await shell.ends(120) == 0, shell.said
