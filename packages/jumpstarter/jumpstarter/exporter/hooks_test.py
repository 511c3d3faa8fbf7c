"""Hook scripts: how they are run, what becomes of their output, and that they always end."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from jumpstarter.config.hooks import HookConfigV1Alpha1, HookInstanceConfigV1Alpha1
from jumpstarter.exporter import hooks
from jumpstarter.exporter.conftest import Records, listening, until
from jumpstarter.exporter.hooks import (
    LOGGER_NAMES,
    HookExecutor,
    HookSurroundings,
    hook_argv,
    hook_environment,
)
from jumpstarter.model.errors import HookExecutionError
from jumpstarter.model.machine import Hook
from jumpstarter.rpc.portal import open_portal

AROUND = HookSurroundings(Path("/run/socket"), "lease-1", "client-1")


@pytest.fixture
def output() -> Iterator[Records]:
    """What beforeLease hooks print."""
    yield from listening(LOGGER_NAMES[Hook.BEFORE])


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a hook a moment to end when it is asked to."""
    monkeypatch.setattr(hooks, "KILL_SECONDS", 0.3)


def hook(script: str, exec_: str | None = None, timeout_s: float = 20) -> HookExecutor:
    """Return what runs `script` before a lease; a file may not say fractions of a second."""
    instance = HookInstanceConfigV1Alpha1.model_construct(
        script=script, exec_=exec_, timeout=timeout_s, on_failure="endLease"
    )
    return HookExecutor(HookConfigV1Alpha1.model_construct(before_lease=instance, after_lease=None))


async def failure(executor: HookExecutor) -> str:
    """Return why the hook failed."""
    with pytest.raises(HookExecutionError) as caught:
        await executor.run(Hook.BEFORE, AROUND)
    assert (caught.value.on_failure, caught.value.hook_type) == ("endLease", "beforeLease")
    return caught.value.message


async def test_a_hook_that_works(output: Records):
    await hook("echo one; echo two >&2; echo three").run(Hook.BEFORE, AROUND)
    assert output.texts == ["one", "two", "three"]


async def test_a_hook_that_is_not_configured_works():
    executor = hook("exit 1")
    assert executor.hooks == {Hook.BEFORE}
    await executor.run(Hook.AFTER, AROUND)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("exit 3", "Hook failed with exit code 3"),
        ("no-such-program", "Hook failed with exit code 127"),
        ("kill -9 $$", "Hook failed with exit code -9"),
        ("if", "Hook failed with exit code 2"),
    ],
)
async def test_a_hook_that_fails(script: str, message: str):
    assert await failure(hook(script)) == message


async def test_a_hook_whose_interpreter_is_missing():
    message = await failure(hook("echo", exec_="/no/such/interpreter"))
    assert message.startswith("Hook cannot be started: ")
    assert "/no/such/interpreter" in message


async def test_a_script_that_no_command_line_can_hold():
    assert (await failure(hook("echo a\0b"))).startswith("Hook cannot be started: ")


PYTHON = "import sys; print(sys.argv, flush=True)"


@pytest.mark.parametrize(
    ("name", "text", "exec_", "printed"),
    [
        ("hook.sh", "echo $0", None, "{path}"),
        ("hook", "echo $0", None, "{path}"),
        ("hook.py", PYTHON, None, "['{path}']"),
        ("hook.txt", PYTHON, sys.executable, "['{path}']"),
        ("hook.py", "echo $0", "/bin/sh", "{path}"),
        ("with space.sh", "echo $0", None, "{path}"),
    ],
)
async def test_a_script_in_a_file(
    tmp_path: Path, output: Records, name: str, text: str, exec_: str | None, printed: str
):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    await hook(f"{path}\n", exec_).run(Hook.BEFORE, AROUND)
    assert output.texts == [printed.format(path=path)]


async def test_inline_text_for_another_interpreter(output: Records):
    await hook("for n in range(2):\n    print(n)\n", sys.executable).run(Hook.BEFORE, AROUND)
    assert output.texts == ["0", "1"]


@pytest.mark.parametrize(
    "script", ["echo " + "x" * 5000, "/", "echo a\n/bin/true", "x" * 300, ". /dev/null", "a\0b"]
)
def test_what_is_no_file_is_inline(script: str):
    instance = HookInstanceConfigV1Alpha1(script=script)
    assert hook_argv(instance) == ["/bin/sh", "-c", script]


async def test_a_long_line_of_inline_text(output: Records):
    await hook("echo " + "x" * 5000).run(Hook.BEFORE, AROUND)
    assert output.texts == ["x" * 5000]


def test_the_environment_of_a_hook():
    environment = hook_environment({"PATH": "/bin", "PS1": "$ ", "TERM": "xterm"}, AROUND)
    assert environment == {
        "PATH": "/bin",
        "JUMPSTARTER_HOST": "/run/socket",
        "JMP_DRIVERS_ALLOW": "UNSAFE",
        "LEASE_NAME": "lease-1",
        "CLIENT_NAME": "client-1",
        "TERM": "dumb",
        "DEBIAN_FRONTEND": "noninteractive",
        "GIT_TERMINAL_PROMPT": "0",
    }


async def test_a_hook_sees_its_environment_and_a_terminal(output: Records):
    script = "echo $LEASE_NAME $JUMPSTARTER_HOST; test -t 1 && echo terminal; test -t 0 || cat"
    await hook(script).run(Hook.BEFORE, AROUND)
    assert output.texts == ["lease-1 /run/socket", "terminal"]


@pytest.mark.parametrize(
    ("script", "lines"),
    [
        ("printf 'a\\n\\nb'", ["a", "", "b"]),
        ("printf 'a\\r\\nb\\r\\n'", ["a", "b"]),
        ("printf 'caf\\303\\251 \\377\\n'", ["caf\u00e9 \ufffd"]),
        ("printf '10%%\\r20%%\\n'", ["10%\r20%"]),
        ("printf '%%s %%d'", ["%s %d"]),
        ("true", []),
        ("seq 20000", [str(number) for number in range(1, 20001)]),
    ],
)
async def test_lines_are_records(output: Records, script: str, lines: list[str]):
    await hook(script).run(Hook.BEFORE, AROUND)
    assert output.texts == lines


async def test_a_line_without_an_end_is_told_in_parts(output: Records):
    await hook("head -c 300000 /dev/zero | tr '\\0' x").run(Hook.BEFORE, AROUND)
    assert "".join(output.texts) == "x" * 300_000
    assert 1 < len(output.texts) < 10


async def test_lines_are_told_when_they_are_printed(output: Records, tmp_path: Path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hook(f"echo first; read line < {fifo}").run, Hook.BEFORE, AROUND)
        await until(lambda: output.texts == ["first"])
        await anyio.to_thread.run_sync(fifo.write_text, "go on\n")


def is_running(pid: int) -> bool:
    """Return whether the process has not ended; nobody may have asked a dead one how."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def pids(path: Path) -> list[int]:
    return [int(word) for word in path.read_text(encoding="utf-8").split()]


@pytest.mark.parametrize(
    "script",
    [
        "echo $$ > {0}; exec sleep 60",
        "trap '' TERM; echo $$ > {0}; while :; do sleep 1; done",
        "sleep 60 & echo $$ $! > {0}; wait",
        "(trap '' TERM; exec sleep 60) & echo $$ $! > {0}; wait",
    ],
    ids=["obedient", "stubborn", "a child", "a stubborn child"],
)
@pytest.mark.usefixtures("impatient")
async def test_a_hook_that_takes_too_long_is_ended_with_all_it_started(tmp_path: Path, script: str):
    file = tmp_path / "pids"
    message = await failure(hook(script.format(file), timeout_s=1.5))
    assert message == "Hook timed out after 1.5 seconds"
    started = pids(file)
    assert started
    # Killed already, though the kernel takes its time.
    await until(lambda: not any(map(is_running, started)))


@pytest.mark.usefixtures("impatient")
async def test_a_hook_whose_runner_is_cancelled_is_ended(tmp_path: Path):
    file = tmp_path / "fifo"
    os.mkfifo(file)
    script = f"trap '' TERM; echo $$ > {file}; sleep 60"
    started: list[int] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hook(script).run, Hook.BEFORE, AROUND)
        started += await anyio.to_thread.run_sync(pids, file)
        assert all(map(is_running, started))
        tasks.cancel_scope.cancel()
    assert not any(map(is_running, started))


async def test_a_daemon_that_is_left_behind_is_not_waited_for(tmp_path: Path, output: Records):
    file = tmp_path / "pids"
    with anyio.fail_after(5):
        await hook(f"sleep 60 & echo $! > {file}; echo done").run(Hook.BEFORE, AROUND)
    (pid,) = pids(file)
    assert is_running(pid)
    os.kill(pid, signal.SIGKILL)
    assert output.texts == ["done"]


async def test_nothing_is_left_open(tmp_path: Path):
    def open_files() -> set[str]:
        return set(os.listdir("/proc/self/fd"))

    await hook("true").run(Hook.BEFORE, AROUND)
    before = open_files()
    for script in ("true", "false", "echo $$", str(tmp_path)):
        try:
            await hook(script).run(Hook.BEFORE, AROUND)
        except HookExecutionError:
            continue
    await failure(hook("true", exec_="/no/such/interpreter"))
    assert open_files() == before


def test_hooks_run_in_the_loop_of_a_portal(output: Records):
    with open_portal() as portal:
        portal.call(hook("echo $LEASE_NAME").run, Hook.BEFORE, AROUND)
        assert portal.call(failure, hook("exit 4")) == "Hook failed with exit code 4"
    assert output.texts == ["lease-1"]
