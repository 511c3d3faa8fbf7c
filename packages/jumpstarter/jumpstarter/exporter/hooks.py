"""Runs the hook scripts of an exporter; what they print becomes records of the exporter's log.

A hook runs on a terminal of its own, so that programs print line by line, and in a session of its
own, so that all it started can be ended with it.
"""

import logging
import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio
from anyio.abc import Process

from jumpstarter.config import env as names
from jumpstarter.config.hooks import HookConfigV1Alpha1, HookInstanceConfigV1Alpha1
from jumpstarter.model.errors import HookExecutionError
from jumpstarter.model.machine import Hook

KILL_SECONDS: Final = 5.0
"""Seconds between asking a hook to end and ending it."""

LOGGER_NAMES: Final = {Hook.BEFORE: "hook.beforeLease", Hook.AFTER: "hook.afterLease"}

MAX_LINE: Final = 65536
"""Bytes after which a line that has no end yet is logged all the same."""

_READ_SIZE: Final = 4096

_NOT_PASSED_ON: Final = {"PS1", names.JMP_MOTD_FILE}


@dataclass(frozen=True, slots=True)
class HookSurroundings:
    """What a hook is told: where it reaches the drivers, whose lease it is, where it may greet."""

    host: Path | str
    lease_name: str
    client_name: str
    motd_file: Path | None = None


def hook_argv(hook: HookInstanceConfigV1Alpha1) -> list[str]:
    """Return the command line of a hook: a script file, or inline text for an interpreter."""
    script = hook.script.strip()
    # Unlike a Path, this takes text that can be no file's name for what it is.
    if "\n" not in script and os.path.isfile(script):
        interpreter = hook.exec_ or (sys.executable if script.endswith(".py") else "/bin/sh")
        return [interpreter, script]
    return [hook.exec_ or "/bin/sh", "-c", hook.script]


def hook_environment(environ: Mapping[str, str], around: HookSurroundings) -> dict[str, str]:
    """Return the variables of a hook: the exporter's own, and those of its session."""
    kept = {key: value for key, value in environ.items() if key not in _NOT_PASSED_ON}
    greeting = {} if around.motd_file is None else {names.JMP_MOTD_FILE: str(around.motd_file)}
    return (
        kept
        | greeting
        | {
            names.JUMPSTARTER_HOST: str(around.host),
            names.JMP_DRIVERS_ALLOW: names.UNSAFE,
            "LEASE_NAME": around.lease_name,
            "CLIENT_NAME": around.client_name,
            "TERM": "dumb",
            "DEBIAN_FRONTEND": "noninteractive",
            "GIT_TERMINAL_PROMPT": "0",
        }
    )


class HookExecutor:
    """Runs the hooks of one configuration."""

    def __init__(self, config: HookConfigV1Alpha1) -> None:
        """Know the scripts; nothing runs yet."""
        self._scripts = {Hook.BEFORE: config.before_lease, Hook.AFTER: config.after_lease}

    @property
    def hooks(self) -> frozenset[Hook]:
        """Which hooks there are."""
        return frozenset(hook for hook, script in self._scripts.items() if script is not None)

    async def run(self, hook: Hook, around: HookSurroundings) -> None:
        """Run `hook` to its end; one that is not configured succeeds.

        Raises HookExecutionError when it fails or takes too long.
        """
        script = self._scripts[hook]
        if script is None:
            return
        failure = await _run(script, hook_environment(os.environ, around), LOGGER_NAMES[hook])
        if failure is not None:
            raise HookExecutionError(failure, script.on_failure, hook.value)


async def _run(
    script: HookInstanceConfigV1Alpha1, environment: Mapping[str, str], logger_name: str
) -> str | None:
    """Return why the script failed, or None."""
    logger = logging.getLogger(logger_name)
    logger.setLevel(logging.INFO)
    main, terminal = pty.openpty()
    _disable_echo(terminal)
    try:
        try:
            process = await anyio.open_process(
                hook_argv(script),
                stdin=subprocess.DEVNULL,
                stdout=terminal,
                stderr=terminal,
                env=environment,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            return f"Hook cannot be started: {error}"
        finally:
            os.close(terminal)
        return await _supervise(process, main, logger, script.timeout)
    finally:
        os.close(main)


async def _supervise(
    process: Process, main: int, logger: logging.Logger, timeout_s: float
) -> str | None:
    hung_up = anyio.Event()
    scope = anyio.CancelScope()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_log_lines, main, logger, hung_up)
        try:
            with scope:
                scope.deadline = anyio.current_time() + timeout_s
                await process.wait()
        finally:
            await _end(process)
        # A daemon that the hook left behind may hold the terminal open for ever.
        with anyio.move_on_after(1):
            await hung_up.wait()
        tasks.cancel_scope.cancel()
    if scope.cancelled_caught:
        return f"Hook timed out after {timeout_s:g} seconds"
    if process.returncode:
        return f"Hook failed with exit code {process.returncode}"
    return None


async def _end(process: Process) -> None:
    """End the process and all it started, if it still runs: ask first, then insist."""
    if process.returncode is not None:
        # It ended by itself, and what it left behind may be meant to go on.
        return
    with anyio.CancelScope(shield=True):
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with anyio.move_on_after(KILL_SECONDS):
                await process.wait()


async def _log_lines(main: int, logger: logging.Logger, hung_up: anyio.Event) -> None:
    """Log what appears on the terminal, a record per line, until nobody has it open."""
    os.set_blocking(main, False)
    rest = b""
    try:
        while data := await _read(main):
            *lines, rest = (rest + data).split(b"\n")
            if len(rest) > MAX_LINE:
                lines, rest = [*lines, rest], b""
            for line in lines:
                _log(logger, line)
        if rest:
            _log(logger, rest)
    finally:
        hung_up.set()


async def _read(main: int) -> bytes:
    while True:
        try:
            return os.read(main, _READ_SIZE)
        except BlockingIOError:
            await anyio.wait_readable(main)
        except OSError:
            # The way Linux says that the last holder of a terminal has gone: EIO.
            return b""


def _log(logger: logging.Logger, line: bytes) -> None:
    logger.info("%s", line.decode(errors="replace").rstrip("\r"))


def _disable_echo(terminal: int) -> None:
    attributes = termios.tcgetattr(terminal)
    attributes[3] &= ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSANOW, attributes)
