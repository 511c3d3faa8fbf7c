"""Clients and exporters of ours and of release 0.9.0, in every pairing, on our controller."""

import hashlib
from datetime import UTC, datetime, timedelta

import anyio
import pytest

from .bench import MIB, Bench, Exporter, digest
from .releases import OURS, Program, Release

pytestmark = pytest.mark.timeout(240)

BIG = 256 * MIB
STREAM = hashlib.sha256(bytes(range(256)) * (MIB // 256)).hexdigest()
SETTLED = 1.0
"""Seconds after which an end of a lease has come to everybody."""


async def test_calls_streams_and_a_big_port_forward(bench: Bench, caller: Release, board: Exporter):
    user = await bench.user(caller)
    done = await user.succeeds(user.use(board.name, "session", str(BIG)))
    found = done.found
    assert found["power"] == [0.0, 5.0]
    assert found["count"] == [float(number) for number in range(100)]
    assert found["value"] == "DriverInvalidArgument"
    assert found["absent"] == "DriverMethodNotImplemented"
    assert found["stream"] == STREAM
    assert found["forward"] == digest(BIG)


async def test_a_command_fails_as_it_does_outside_of_a_shell(
    bench: Bench, caller: Release, board: Exporter
):
    user = await bench.user(caller)
    command = user.shell("--selector", f"board={board.name}", "--", "sh", "-c", "exit 7")
    assert (await user.does(command)).code == 7


async def test_hooks_and_the_log_of_the_exporter(bench: Bench, caller: Release, offering: Release):
    script = "echo {0} $LEASE_NAME $CLIENT_NAME; {1}; echo {0} done"
    hooks = {
        "beforeLease": {"script": script.format("first", "j power on"), "onFailure": "endLease"},
        "afterLease": {"script": script.format("last", "true"), "onFailure": "endLease"},
    }
    exporter, user = await bench.exporter(offering, hooks), await bench.user(caller)
    async with exporter.runs():
        command = user.release.use("say", "a word of the driver")
        shell = ("--selector", f"board={exporter.name}", "--exporter-logs", "--")
        done = await user.succeeds(user.shell(*shell, *command))
        await exporter.ready()
    said = " ".join(done.said.split())
    order = ["first done", "a word of the driver", "last done"]
    assert sorted(order, key=said.index) == order
    assert user.name in said


async def test_an_end_by_time_ends_the_shell(bench: Bench, caller: Release, board: Exporter):
    user = await bench.user(caller)
    async with user.runs(user.use(board.name, "pound", "late")) as program:
        await program.says("begins")
        name = await bench.lease_of(board.name)
        begin = (await bench.admin.get_lease(name)).effective_begin_time
        assert begin
        lasts = datetime.now(UTC) - begin + timedelta(seconds=2)
        await user.set_duration(name, lasts)
        await board.until_free()
        await cut_off(board, program, caller)
    after = await bench.admin.get_lease(name)
    assert after.effective_end_time
    assert abs(after.effective_end_time - begin - lasts) < timedelta(seconds=1.5)


async def test_a_release_ends_what_the_shell_does(bench: Bench, caller: Release, board: Exporter):
    user = await bench.user(caller)
    async with user.runs(user.use(board.name, "pound", "released")) as program:
        await program.says("begins")
        await bench.admin.release_lease(await bench.lease_of(board.name))
        await cut_off(board, program, caller)
    await board.ready()


async def test_a_transfer_while_the_shell_is_open(bench: Bench, caller: Release, board: Exporter):
    user, heir = await bench.user(caller, "old"), await bench.user(caller, "new")
    async with user.runs(user.use(board.name, "pound", "old")) as program:
        await program.says("begins")
        name = await bench.lease_of(board.name)
        words = ("update", "lease", name, "--to-client", heir.name, "-o", "yaml")
        given = await user.succeeds(user.ask(*words))
        assert heir.name in given.said
        await cut_off(board, program, caller)
        command = heir.shell("--lease", name, "--", *caller.use("mark", "new"))
        await heir.succeeds(command)
        assert board.effects[-1].startswith("call new")
        assert await bench.leases_of(board.name) == [name]
    await heir.succeeds(heir.ask("delete", "leases", name))
    await board.ready()


async def test_leases_back_to_back_with_a_client_that_waits(
    bench: Bench, caller: Release, board: Exporter
):
    users = [await bench.user(caller, f"in-line-{number}") for number in range(2)]
    async with anyio.create_task_group() as tasks:
        for user in users:
            tasks.start_soon(user.succeeds, user.use(board.name, "mark", user.name))
    await board.ready()
    texts = [line.split()[1] for line in board.effects[-2:]]
    assert sorted(texts) == [user.name for user in users]


async def cut_off(board: Exporter, program: Program, caller: Release) -> None:
    """Check that a shell cannot do anything any more since its lease ended or moved."""
    await anyio.sleep(SETTLED)
    before = board.effects
    await anyio.sleep(SETTLED)
    assert board.effects == before
    await program.says('"stream": true')
    assert board.effects == before
    if caller is OURS:
        await program.ends()
    program.kill()  # release 0.9.0 goes on for a while
