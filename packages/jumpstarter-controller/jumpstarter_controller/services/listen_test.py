"""Invitations reach exactly one listener (scenarios S2, S3, S4)."""

from collections.abc import AsyncIterator

import anyio
import pytest
from anyio.lowlevel import checkpoint

from .listen import CAPACITY, Invitation, LocalInvitations, NotListeningError, QueueFullError

LEASE = ("lab", "one")


def invitation(number: int = 0) -> Invitation:
    return Invitation("router:1", f"token-{number}")


async def taken(listener: AsyncIterator[Invitation]) -> list[str]:
    return [item.router_token async for item in listener]


async def test_without_a_listener_nobody_is_invited() -> None:
    with pytest.raises(NotListeningError):
        await LocalInvitations().invite(LEASE, invitation(), 0)


async def test_a_listener_of_another_lease_is_none() -> None:
    board = LocalInvitations()
    with (
        board.listen(("lab", "two")),
        board.listen(("other", "one")),
        pytest.raises(NotListeningError),
    ):
        await board.invite(LEASE, invitation(), 0)


async def test_the_ninth_is_refused() -> None:
    board = LocalInvitations()
    with board.listen(LEASE):
        for number in range(CAPACITY):
            await board.invite(LEASE, invitation(number), 0)

        with pytest.raises(QueueFullError):
            await board.invite(LEASE, invitation(), 0)


async def test_a_missing_listener_is_waited_for() -> None:
    board = LocalInvitations()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(board.invite, LEASE, invitation(7), 10)
        await checkpoint()
        with board.listen(LEASE) as listener:
            assert (await anext(aiter(listener))).router_token == "token-7"


async def test_room_is_waited_for() -> None:
    board = LocalInvitations()
    tokens: list[str] = []
    with board.listen(LEASE) as listener:
        for number in range(CAPACITY):
            await board.invite(LEASE, invitation(number), 0)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(board.invite, LEASE, invitation(CAPACITY), 10)
            await checkpoint()
            items = aiter(listener)
            tokens += [(await anext(items)).router_token for _ in range(CAPACITY + 1)]

    assert tokens == [f"token-{number}" for number in range(CAPACITY + 1)]


async def test_what_a_listener_broke_over_goes_to_the_next_one() -> None:
    board = LocalInvitations()
    with board.listen(LEASE) as listener:
        await board.invite(LEASE, invitation(6), 0)
        await anext(aiter(listener))
    with board.listen(LEASE) as next_one:
        assert (await anext(aiter(next_one))).router_token == "token-6"


async def test_a_new_listener_gets_what_comes_and_the_old_one_ends_with_what_it_had() -> None:
    board = LocalInvitations()
    with board.listen(LEASE) as old:
        await board.invite(LEASE, invitation(1), 0)
        with board.listen(LEASE) as new:
            await board.invite(LEASE, invitation(2), 0)

            assert await taken(aiter(old)) == ["token-1"]
            assert (await anext(aiter(new))).router_token == "token-2"


async def test_the_old_listener_leaving_late_does_not_take_the_new_one_with_it() -> None:
    board = LocalInvitations()
    old = board.listen(LEASE)
    old.__enter__()
    with board.listen(LEASE) as new:
        old.__exit__(None, None, None)
        await board.invite(LEASE, invitation(3), 0)

        assert (await anext(aiter(new))).router_token == "token-3"


async def test_a_listener_that_left_is_none() -> None:
    board = LocalInvitations()
    with board.listen(LEASE):
        pass

    with pytest.raises(NotListeningError):
        await board.invite(LEASE, invitation(), 0)


async def test_what_a_broken_listener_had_goes_to_the_next_one() -> None:
    board = LocalInvitations()
    with board.listen(LEASE):
        await board.invite(LEASE, invitation(4), 0)
    with board.listen(LEASE) as next_one:
        assert (await anext(aiter(next_one))).router_token == "token-4"


async def test_what_a_superseded_listener_had_when_it_broke_goes_to_the_new_one() -> None:
    board = LocalInvitations()
    old = board.listen(LEASE)
    old.__enter__()
    await board.invite(LEASE, invitation(5), 0)
    with board.listen(LEASE) as new:
        old.__exit__(None, None, None)

        assert (await anext(aiter(new))).router_token == "token-5"


async def test_each_of_many_invitations_during_reconnects_arrives_once() -> None:
    board = LocalInvitations()
    sent = [f"token-{number}" for number in range(200)]
    received: list[str] = []

    async def listen_for(count: int) -> None:
        with board.listen(LEASE) as listener:
            async for item in listener:
                if not count:
                    return
                received.append(item.router_token)
                count -= 1

    async def reconnect() -> None:
        while len(received) < len(sent):
            with anyio.move_on_after(0.001 if len(received) % 2 else 1):
                await listen_for(7)

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(reconnect)
            for number in range(200):
                tasks.start_soon(board.invite, LEASE, invitation(number), 9)

    assert sorted(received) == sorted(sent)
