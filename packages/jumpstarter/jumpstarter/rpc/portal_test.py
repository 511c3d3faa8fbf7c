"""The portal's event loop, and the child processes that drivers start on it."""

import asyncio
import subprocess
import sys

import pytest

from jumpstarter.client import DriverClient
from jumpstarter.driver import Driver, export
from jumpstarter.local import serve

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
        "; from jumpstarter.rpc.portal import LOOP_OPTIONS; print(LOOP_OPTIONS['use_uvloop'])"
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
