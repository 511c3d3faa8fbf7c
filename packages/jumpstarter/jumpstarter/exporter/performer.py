"""Performs the commands of a session's machine, one after the other, and feeds it what happens.

Each status is shown to the client and reported, in this order; without a controller there is nobody
to report to.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import anyio

from jumpstarter.model.errors import HookExecutionError
from jumpstarter.model.machine import (
    Begin,
    Closed,
    Command,
    EndRequested,
    Event,
    Hook,
    HookEnded,
    OnFailure,
    Phase,
    Release,
    RunHook,
    SessionMachine,
    SetStatus,
    Stop,
)

from .greeting import joined, motd_file, written
from .hooks import HookExecutor, HookSurroundings
from .reports import LeaseRelease, Report, StatusReport
from .session import Session

logger = logging.getLogger(__name__)


def report_to_nobody(_: Report) -> None:
    """Do without a controller."""


@dataclass
class Performer:
    """One session from its beginning to its end.

    `failure` says which hook failed and why, `on_failure` what the configuration wants done about
    it; `exit_code` is set when the exporter must stop for it. `over` returns when the lease is
    over.
    """

    session: Session
    executor: HookExecutor
    around: HookSurroundings
    report: Callable[[Report], None] = report_to_nobody
    over: Callable[[], Awaitable[None]] = anyio.sleep_forever
    failure: str = field(default="", init=False)
    on_failure: OnFailure = field(default="warn", init=False)
    exit_code: int | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Make the machine for the hooks there are."""
        self._machine = SessionMachine(self.executor.hooks)

    @property
    def is_ready(self) -> bool:
        """Whether the client may use the drivers."""
        return self._machine.phase is Phase.READY

    async def begin(self) -> None:
        """Run the beforeLease hook; after it the session is ready, or over."""
        await self._feed(Begin())

    async def end(self, *, watched: bool = False) -> None:
        """Run the afterLease hook; nothing happens when the session is over already.

        It is `watched` when a client waits to see how its session ended.
        """
        await self._feed(EndRequested(watched))

    async def close(self) -> None:
        """Say what follows now that the session is closed."""
        await self._feed(Closed())

    async def _feed(self, event: Event) -> None:
        events = [event]
        while events:
            for command in self._machine.handle(events.pop(0), anyio.current_time()):
                following = await self._perform(command)
                events += [] if following is None else [following]

    async def _perform(self, command: Command) -> Event | None:
        match command:
            case SetStatus(status, message):
                self.session.update_status(status, message)
                self.report(StatusReport(status, message))
            case RunHook(hook):
                return await self._run(hook)
            case Release(at):
                # The client is still there and reads how it ended, unless it gives back the lease.
                with anyio.move_on_after(at - anyio.current_time()):
                    await self.over()
                self.report(LeaseRelease(self.around.lease_name))
            case Stop(exit_code):
                self.exit_code = exit_code
        return None

    async def _run(self, hook: Hook) -> HookEnded:
        try:
            if hook is Hook.BEFORE:
                await self._greet()
            else:
                await self.executor.run(hook, self.around)
        except HookExecutionError as error:
            self.failure = f"{hook.value} hook: {error.message}"
            self.on_failure = _on_failure(error.on_failure)
            logger.warning("%s", self.failure)
            return HookEnded(hook, error.message, self.on_failure)
        return HookEnded(hook)

    async def _greet(self) -> None:
        """Run the hook that may add to what people read who enter the device's shell."""
        with motd_file() as path:
            try:
                await self.executor.run(Hook.BEFORE, replace(self.around, motd_file=path))
            finally:
                self.session.motd = joined(self.session.motd, written(path))


def _on_failure(text: str) -> OnFailure:
    match text:
        case "endLease" | "exit":
            return text
        case _:
            return "warn"
