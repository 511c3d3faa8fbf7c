"""Lane exit-on-lease-end of README.md, by its identifiers."""

import anyio
import pytest

from .bench import Bench
from .releases import OURS, Release

pytestmark = pytest.mark.timeout(150)


async def test_exit_1_an_exporter_ends_with_its_lease(bench: Bench, caller: Release):
    exporter = await bench.exporter(OURS, exit_on_lease_end=True)
    async with exporter.runs() as program:
        user = await bench.user(caller)
        await user.succeeds(user.power(exporter.name))
        assert await program.ends(60) == 0
        await exporter.until(lambda found: not found.online)


async def test_exit_2_an_exporter_that_waits_for_its_lease_stays(bench: Bench):
    exporter = await bench.exporter(OURS, exit_on_lease_end=True)
    async with exporter.runs() as program:
        await anyio.sleep(10)
        assert program.runs


@pytest.mark.parametrize("identifier", ["exit-after"])
async def test_a_stopped_exporter_is_gone_and_offline(
    bench: Bench,
    offering: Release,
    identifier: str,  # noqa: ARG001 - names the test
):
    exporter = await bench.exporter(offering)
    async with exporter.runs() as program:
        await program.stop()
        await exporter.until(lambda found: not found.online, 15)
