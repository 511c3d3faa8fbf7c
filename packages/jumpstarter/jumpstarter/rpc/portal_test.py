"""The portal's event loop, and the child processes that drivers start on it."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from anyio import to_thread
from grpc.aio import Server, insecure_channel
from jumpstarter_protocol import router_pb2_grpc

from jumpstarter.client import DriverClient
from jumpstarter.driver import Driver, export
from jumpstarter.local import serve
from jumpstarter.rpc import servers
from jumpstarter.rpc.channels import unix_address
from jumpstarter.rpc.conftest import Call, Context, OneMethod, frames_of
from jumpstarter.rpc.portal import open_portal
from jumpstarter.rpc.writing import abandon
from jumpstarter.streams.listeners import TemporarySocket

CHILDREN = 100
"""Enough that a crash of one in twenty shows."""


class Spawner(Driver):
    """Starts child processes on the event loop that serves it."""

    @classmethod
    def client(cls) -> str:
        return f"{DriverClient.__module__}.{DriverClient.__qualname__}"

    @export
    async def spawn(self) -> int:
        child = await asyncio.create_subprocess_exec("true")
        return await child.wait()


def loop_of(program: str) -> str:
    """Return what a new interpreter says after `program` of the loop that a portal would have."""
    program += (
        "; from jumpstarter.rpc.portal import new_loop; import uvloop"
        "; print(isinstance(new_loop(), uvloop.Loop))"
    )
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()


def test_child_processes_of_drivers_do_not_crash():
    with serve(Spawner()) as client:
        codes = {client.call("spawn") for _ in range(CHILDREN)}
    assert codes == {0}


@pytest.mark.parametrize("program", ["pass", "import jumpstarter, grpc"])
def test_uvloop_serves_where_grpc_has_no_fork_hooks(program: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("GRPC_ENABLE_FORK_SUPPORT", raising=False)
    assert loop_of(program) == "True"


@pytest.mark.parametrize(
    "program", ["import grpc", "import os; os.environ['GRPC_ENABLE_FORK_SUPPORT'] = '1'"]
)
def test_uvloop_is_left_out_where_grpc_may_have_fork_hooks(
    program: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("GRPC_ENABLE_FORK_SUPPORT", raising=False)
    assert loop_of(program) == "False"


async def test_late_news_for_a_portal_that_has_ended_disturbs_no_other_loop():
    """gRPC has one poller for all loops of a process; it tells each what was its own."""

    async def hold(context: Context) -> None:
        await context.send_initial_metadata(())
        await frames_of(context)

    def register(server: Server) -> None:
        router_pb2_grpc.add_RouterServiceServicer_to_server(OneMethod(hold), server)

    async def begun(path: Path) -> Call:
        call = router_pb2_grpc.RouterServiceStub(insecure_channel(unix_address(path))).Stream()
        await call.initial_metadata()
        return call

    def begin_and_end(path: Path) -> Call:
        with open_portal() as portal:
            return portal.call(begun, path)

    with TemporarySocket() as path:
        async with servers.serve(register, [servers.unix_bind(path)]):
            call = await to_thread.run_sync(begin_and_end, path)
            abandon(call)
            # What happens after it has passed it, in the one queue.
            abandon(await begun(path))
