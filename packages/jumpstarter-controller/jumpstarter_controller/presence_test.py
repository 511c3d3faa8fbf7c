"""Exporters that have a stream open stay online, however many they are; the others do not."""

from collections.abc import AsyncGenerator
from datetime import timedelta

import anyio
import pytest
from anyio.lowlevel import checkpoint
from jumpstarter.streams.background import background_tasks

from jumpstarter_controller.conftest import NAMESPACE, Lab
from jumpstarter_controller.presence import AT_ONCE, HEARTBEAT, TOGETHER, Presence

STEP = HEARTBEAT + TOGETHER


@pytest.fixture
async def presence(lab: Lab) -> AsyncGenerator[Presence]:
    found = Presence(lab.engine)
    async with background_tasks() as tasks:
        await tasks.start(found.run)
        yield found


async def passes(lab: Lab, step: timedelta) -> None:
    """Let time pass, and everything be done that is due."""
    lab.clock.advance(step)
    for _ in range(20):
        await checkpoint()
    await lab.engine.catch_up()


async def test_an_exporter_with_a_stream_stays_online(lab: Lab, presence: Presence) -> None:
    board, silent = await lab.exporter("board"), await lab.exporter("silent")

    with presence.of(board.ref), anyio.fail_after(10):
        for _ in range(10):
            await passes(lab, STEP)

        found = await lab.engine.get_exporter(NAMESPACE, "board")
        assert found.online
        assert found.last_seen == lab.clock.now()
    assert not (await lab.engine.get_exporter(NAMESPACE, silent.name)).online


async def test_who_has_two_streams_is_there_until_the_last_ends(
    lab: Lab, presence: Presence
) -> None:
    board = await lab.exporter()
    with presence.of(board.ref):
        with presence.of(board.ref):
            await passes(lab, STEP)
        await passes(lab, STEP)
        heard = (await lab.engine.get_exporter(NAMESPACE, "board")).last_seen
        assert heard == lab.clock.now()

    await passes(lab, STEP)

    assert (await lab.engine.get_exporter(NAMESPACE, "board")).last_seen == heard


async def test_an_exporter_that_was_lost_is_back(lab: Lab, presence: Presence) -> None:
    board = await lab.exporter()
    with presence.of(board.ref):
        # As after a suspend of the machine: the time has moved on while nobody could be heard.
        lab.clock.advance(timedelta(minutes=5))
        await lab.engine.catch_up()

        await passes(lab, STEP)

        assert (await lab.engine.get_exporter(NAMESPACE, "board")).online


async def test_one_that_was_deleted_keeps_nobody_else_from_being_heard(
    lab: Lab, presence: Presence
) -> None:
    boards = [await lab.exporter(f"board-{number}") for number in range(3 * AT_ONCE // 2)]
    with presence.of(boards[0].ref), presence.of(boards[-1].ref):
        await lab.engine.delete_exporter(NAMESPACE, boards[0].name)
        await passes(lab, STEP)

        found = await lab.engine.get_exporter(NAMESPACE, boards[-1].name)
        assert found.last_seen == lab.clock.now()
