"""Lane hooks of README.md: what the scripts around a lease do, and what their failures mean.

The tests are named by the identifiers there. Each runs with our exporter; clients are
ours, and those of release 0.9.0 where a failure of the script comes to them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
from jumpstarter.model.status import ExporterStatus

from .bench import Bench, Done, Exporter
from .releases import OURS, Program, Release

pytestmark = pytest.mark.timeout(150)

GONE_SECONDS = 30.0
OUTER_SECONDS = 40.0
FAILED = (
    "beforeLease hook fail",
    "Exporter shutting down",
    "Connection to exporter lost",
    "did not respond to initial status check",
    "unreachable after",
)
"""What a client may say of a beforeLease hook that failed; any one of them."""

INTERNAL = ("subprocess", "PTY")
"""What of the exporter's own log must not come to a user."""

FIRST, LAST = "echo this is the first", "echo this is the last"


def hook(script: str, on_failure: str = "warn", **more: Any) -> Mapping[str, Any]:
    return {"script": script, "onFailure": on_failure, "timeout": 60, **more}


@dataclass(frozen=True)
class Case:
    """One scenario in which the shell ends well."""

    name: str
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    shown: tuple[str, ...] = ()
    """In this order."""
    options: tuple[str, ...] = ()
    hooks: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        pairs = {"beforeLease": self.before, "afterLease": self.after}
        object.__setattr__(self, "hooks", {key: one for key, one in pairs.items() if one})


BASH = 'a=(x y); [[ ${a[1]} == y ]] && echo "bash has ${#a[@]}"'
WELL = [
    Case("A1", hook(FIRST), None, ("this is the first",)),
    Case("A2", None, hook(LAST), ("this is the last",)),
    Case("A3", hook(FIRST), hook(LAST), ("this is the first", "this is the last")),
    Case("B1", hook(f"{FIRST}; exit 1"), None, ("this is the first",)),
    Case("C1", None, hook(f"{LAST}; exit 1"), ("this is the last",)),
    Case("D1", hook(f"{FIRST}; sleep 60", timeout=5), None, ("this is the first",)),
    Case("E1", hook("j power on && echo is on"), None, ("is on",)),
    Case("E2", None, hook("j power off && echo is off"), ("is off",)),
    Case("F1", hook(BASH, exec="/bin/bash"), None, ("bash has 2",)),
    Case("H1", hook(FIRST), None, ("this is the first",)),
    Case("H3", hook(f"{FIRST}; exit 1"), None, ("this is the first", "Warning:")),
    Case("H4", None, hook(f"{LAST}; exit 1"), ("this is the last", "Warning:")),
]


def flat(done: Done) -> str:
    """Return the output as one line: terminals of release 0.9.0 wrap it."""
    return " ".join(done.said.split())


async def shell(bench: Bench, exporter: Exporter, release: Release, *options: str) -> Done:
    """Use the exporter from a shell in the standard way."""
    user = await bench.user(release)
    command = user.shell("--selector", f"board={exporter.name}", *options, "--")
    return await user.does([*command, release.j, "power", "on"])


@pytest.mark.parametrize("case", WELL, ids=lambda case: case.name)
async def test_hooks(bench: Bench, case: Case):
    exporter = await bench.exporter(OURS, case.hooks)
    async with exporter.runs():
        done = await shell(bench, exporter, OURS)
        await exporter.ready()
    said = flat(done)
    assert done.code == 0, said
    places = [said.find(words) for words in case.shown]
    assert -1 not in places, said
    assert places == sorted(places), said
    assert not any(words in said for words in INTERNAL), said


@pytest.mark.parametrize("identifier", ["E3"])
async def test_hooks_know_the_lease(bench: Bench, identifier: str):  # noqa: ARG001 - names the test
    hooks = {"beforeLease": hook("echo lease=$LEASE_NAME client=$CLIENT_NAME.")}
    exporter = await bench.exporter(OURS, hooks)
    async with exporter.runs():
        said = flat(await shell(bench, exporter, OURS))
    assert re.search(r"lease=[0-9a-f-]+ client=user-\d+\.", said), said


@pytest.mark.parametrize("identifier", ["F2", "F3"])
async def test_hooks_from_files(bench: Bench, tmp_path: Path, identifier: str):
    python = (
        "from jumpstarter.utils.env import env\nprint('python begins')\n"
        "with env() as client:\n    client.power.on()\nprint('python is done')\n"
    )
    shell_text = "echo 'python begins'; j power on; echo 'python is done'"
    script = tmp_path / ("hook.py" if identifier == "F2" else "hook.sh")
    script.write_text(python if identifier == "F2" else shell_text)
    exporter = await bench.exporter(OURS, {"beforeLease": hook(str(script), "endLease")})
    async with exporter.runs():
        done = await shell(bench, exporter, OURS)
    said = flat(done)
    assert done.code == 0, said
    assert 0 <= said.find("python begins") < said.find("python is done"), said


def refused(done: Done) -> None:
    """Check that the shell says that the hook failed."""
    said = flat(done)
    assert done.code != 0, said
    assert any(words in said for words in FAILED), said
    assert "this is the last" not in said, said


@pytest.mark.parametrize(
    ("caller", "identifier"),
    [("ours", "B2"), ("ours", "B3"), ("ours", "B4"), ("0.9.0", "B2")],
    indirect=["caller"],
)
async def test_hooks_that_end_the_lease(bench: Bench, caller: Release, identifier: str):
    hooks = {"beforeLease": hook(f"{FIRST}; exit 1", "endLease")}
    if identifier == "B4":
        hooks["afterLease"] = hook(LAST)
    exporter = await bench.exporter(OURS, hooks)
    async with exporter.runs():
        for _ in range(2 if identifier == "B3" else 1):
            refused(await shell(bench, exporter, caller, "--retry-timeout", "0"))
            await exporter.ready()


async def gone(exporter: Exporter, program: Program) -> None:
    """Check that the exporter has ended by itself, and that the controller knows."""
    assert await program.ends(GONE_SECONDS) == 1
    await exporter.until(lambda found: not found.online)
    await exporter.until(lambda found: found.status is ExporterStatus.OFFLINE)


@pytest.mark.parametrize(
    ("caller", "identifier"),
    [("ours", "B5"), ("ours", "H2"), ("0.9.0", "B5")],
    indirect=["caller"],
)
async def test_hooks_that_end_the_exporter(bench: Bench, caller: Release, identifier: str):
    hooks = {"beforeLease": hook(f"{FIRST}; exit 1", "exit")}
    if identifier == "H2":
        hooks["afterLease"] = hook(LAST)
    exporter = await bench.exporter(OURS, hooks)
    async with exporter.runs() as program:
        refused(await shell(bench, exporter, caller, "--retry-timeout", "0"))
        await gone(exporter, program)


@pytest.mark.parametrize("identifier", ["C2"])
async def test_hooks_that_end_the_exporter_afterwards(
    bench: Bench,
    caller: Release,
    identifier: str,  # noqa: ARG001 - names the test
):
    exporter = await bench.exporter(OURS, {"afterLease": hook(f"{LAST}; exit 1", "exit")})
    async with exporter.runs() as program:
        await shell(bench, exporter, caller)
        await gone(exporter, program)


@pytest.mark.parametrize(
    ("caller", "identifier", "before", "duration"),
    [
        ("ours", "G1", 0, "6s"),
        ("ours", "G2", 8, "5s"),
        ("ours", "G3", 4, "8s"),
        ("0.9.0", "G1", 0, "6s"),
    ],
    indirect=["caller"],
)
async def test_hooks_and_leases_that_run_out(
    bench: Bench, caller: Release, identifier: str, before: int, duration: str
):
    hooks = {"beforeLease": hook(f"{FIRST}; sleep {before}"), "afterLease": hook(LAST)}
    exporter = await bench.exporter(OURS, {} if identifier == "G1" else hooks)
    async with exporter.runs():
        user = await bench.user(caller)
        options = ("--selector", f"board={exporter.name}", "--duration", duration, "--")
        async with user.runs(user.shell(*options, "sleep", "30")) as program:
            with anyio.move_on_after(OUTER_SECONDS):
                await program.process.wait()
            # Clients of release 0.9.0 may still look for the exporter, for as long as 300 s.
            assert not program.runs or caller is not OURS
            program.kill()
        assert "Error:" not in program.said
        await exporter.ready()
