"""Performs the commands of a session's machine, one after the other, and feeds it what happens."""

import logging
from dataclasses import dataclass, field

import anyio

from jumpstarter.model.errors import HookExecutionError
from jumpstarter.model.machine import (
    Begin,
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

from .hooks import HookExecutor, HookSurroundings
from .session import Session

logger = logging.getLogger(__name__)


@dataclass
class Performer:
    """One session from its beginning to its end.

    `failure` says which hook failed and why, `on_failure` what the configuration wants done about
    it; `exit_code` is set when the exporter must stop for it.
    """

    session: Session
    executor: HookExecutor
    around: HookSurroundings
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

    async def end(self) -> None:
        """Run the afterLease hook; nothing happens when the session is over already."""
        await self._feed(EndRequested())

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
            case RunHook(hook):
                return await self._run(hook)
            case Release(at):
                # The client is still there and reads the reason.
                await anyio.sleep_until(at)
            case Stop(exit_code):
                self.exit_code = exit_code
        return None

    async def _run(self, hook: Hook) -> HookEnded:
        try:
            await self.executor.run(hook, self.around)
        except HookExecutionError as error:
            self.failure = f"{hook.value} hook: {error.message}"
            self.on_failure = _on_failure(error.on_failure)
            logger.warning("%s", self.failure)
            return HookEnded(hook, error.message, self.on_failure)
        return HookEnded(hook)


def _on_failure(text: str) -> OnFailure:
    match text:
        case "endLease" | "exit":
            return text
        case _:
            return "warn"
