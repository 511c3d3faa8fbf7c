"""Following one lease: told of each change by the controller, asked for where it cannot tell.

A controller of release 0.9.0 has no call that tells; there the waits between questions grow.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field

import grpc

from jumpstarter.model.errors import ConnectionError  # noqa: A004 - its public name
from jumpstarter.model.lease_progress import Patience, judge_failure
from jumpstarter.rpc.retry import Backoff

from .grpc import ClientService, code_of, details_of
from .records import Lease

AWAY_FIRST_S = 0.2
AWAY_LONGEST_S = 10.0
"""The waits while a controller is away."""

TRIES = 8
"""Questions in a row that a controller which is there may fail to answer."""


@dataclass
class LeaseFollower:
    """Yields the states of the lease `name`, from the present one on.

    `first_s` and `longest_s` are the waits between questions, where there must be questions.
    """

    service: ClientService
    name: str
    first_s: float
    longest_s: float
    _tells: bool = field(default=True, init=False)
    _failures: int = field(default=0, init=False)

    async def states(self) -> AsyncGenerator[Lease]:
        """Yield each state, without an end until the lease has one.

        A controller that is away is waited for. Raises ConnectionError when it refuses to answer.
        """
        away = Backoff(AWAY_FIRST_S, AWAY_LONGEST_S)
        while True:
            try:
                async with aclosing(self._told() if self._tells else self._asked()) as states:
                    async for lease in states:
                        away.reset()
                        self._failures = 0
                        yield lease
                        if lease.effective_end_time is not None:
                            return
            except ConnectionError as error:
                if code_of(error) is grpc.StatusCode.UNIMPLEMENTED and self._tells:
                    self._tells = False
                    continue
                self._endure(error)
            await away.wait()

    async def _told(self) -> AsyncGenerator[Lease]:
        async with aclosing(self.service.WatchLease(name=self.name)) as states:
            async for lease in states:
                yield lease

    async def _asked(self) -> AsyncGenerator[Lease]:
        pause = Backoff(self.first_s, self.longest_s)
        while True:
            yield await self.service.GetLease(name=self.name)
            await pause.wait()

    def _endure(self, error: ConnectionError) -> None:
        """Raise `error` unless the question may be asked once more."""
        patience = judge_failure(code_of(error).name, details_of(error))
        if patience is Patience.TRY:
            self._failures += 1
        if patience is Patience.STOP or self._failures >= TRIES:
            raise error
