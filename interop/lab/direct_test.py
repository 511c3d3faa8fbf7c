"""Lane direct-listener of README.md: a client connects to an exporter, without a controller."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import pytest

from .bench import Bench, Done, Exporter, User
from .processes import free_address
from .releases import Program, Release, eventually

pytestmark = pytest.mark.timeout(150)

START_SECONDS = 30.0
SECRET = "open-sesame"
WRONG = "open-barley"
INSECURE = "--tls-grpc-insecure"


@asynccontextmanager
async def listening(exporter: Exporter, *options: str) -> AsyncGenerator[tuple[Program, str]]:
    """Run the exporter with a listener; its port is free again afterwards."""
    address = free_address()
    port = address.rpartition(":")[2]
    words = ("--tls-grpc-listener", address, INSECURE, *options)
    async with exporter.started(*words) as program:
        assert await eventually(lambda: accepts(port), START_SECONDS), program.said
        yield program, address
    assert not await accepts(port)


async def accepts(port: str) -> bool:
    try:
        await (await anyio.connect_tcp("127.0.0.1", int(port))).aclose()
    except OSError:
        return False
    return True


async def shell(user: User, address: str, *words: str, script: str = "j power on") -> Done:
    command = [user.release.jmp, "shell", "--tls-grpc", address, *words]
    return await user.does([*command, "--", "sh", "-c", script])


async def test_direct_listener_calls(bench: Bench, caller: Release, offering: Release):
    """Connect and switch the power; again; without the flag that TLS is not wanted."""
    exporter, user = await bench.exporter(offering), await bench.user(caller)
    async with listening(exporter) as (_, address):
        done = await shell(user, address, INSECURE, script="j power on && j power off")
        assert done.code == 0, done.said
        assert (await shell(user, address)).code != 0


async def test_direct_listener_hooks(bench: Bench, caller: Release, offering: Release):
    """The first hook is shown, `j` works, and SIGTERM runs the last one."""
    hooks = {
        "beforeLease": {"script": "echo this is the first"},
        "afterLease": {"script": "echo this is the last"},
    }
    exporter, user = await bench.exporter(offering, hooks), await bench.user(caller)
    async with listening(exporter) as (program, address):
        done = await shell(user, address, INSECURE, "--exporter-logs")
        assert done.code == 0, done.said
        assert "this is the first" in " ".join(done.said.split())
        await program.stop()
        assert "this is the last" in program.said


async def test_direct_listener_passphrase(bench: Bench, caller: Release, offering: Release):
    """The right one connects; a wrong one and none do not, and are not logged."""
    exporter, user = await bench.exporter(offering), await bench.user(caller)
    async with listening(exporter, "--passphrase", SECRET) as (program, address):
        done = await shell(user, address, INSECURE, "--passphrase", SECRET)
        assert done.code == 0, done.said
        assert (await shell(user, address, INSECURE, "--passphrase", WRONG)).code != 0
        assert (await shell(user, address, INSECURE)).code != 0
        assert "passphrase" in program.said.lower()
        assert WRONG not in program.said
