"""How an exporter stays known to its controller: it registers, and listens for its assignment.

Rule: there is no last try. A controller that is away for however long finds the exporter again, and
whoever re-attaches introduces itself anew, because the controller may have forgotten it. The one
exception is an exporter that has never been registered: a controller that answers and keeps
refusing it will go on to, so that whoever started the exporter is told.
"""

import logging
from dataclasses import dataclass, field
from typing import Final

import anyio
from jumpstarter_protocol import jumpstarter_pb2

from jumpstarter.model.errors import ConnectionError as ConnectionFailure
from jumpstarter.model.rapid_failures import RapidFailures
from jumpstarter.rpc.retry import Backoff

from .assignments import Assignments, assignment_of
from .link import CALL_SECONDS, ControllerError, Link, messages, told
from .reports import FIRST_WAIT, LONGEST_WAIT, Outbox

logger = logging.getLogger(__name__)

REFUSED_FIRST_WAIT: Final = 1.0
REFUSED_LONGEST_WAIT: Final = 60.0
"""Seconds between tries when the controller refuses: somebody must change something first."""

REPORTS_SECONDS: Final = 5.0
"""Seconds for telling what has happened while the exporter was not attached."""


@dataclass
class Attachment:
    """Keeps the exporter of `registration` attached; the newest word goes to `assignments`."""

    link: Link
    registration: jumpstarter_pb2.RegisterRequest
    assignments: Assignments
    outbox: Outbox
    refusals: RapidFailures
    registered: anyio.Event = field(default_factory=anyio.Event, init=False)
    """Set when the controller knows the exporter, for the first time."""

    async def run(self) -> None:
        """Attach, for ever.

        Raises ConnectionError of this package when the controller keeps refusing an exporter that
        it has never accepted.
        """
        outage = Backoff(FIRST_WAIT, LONGEST_WAIT)
        refusal = Backoff(REFUSED_FIRST_WAIT, REFUSED_LONGEST_WAIT)
        reason = ""
        while True:
            try:
                await self._attach([outage, refusal])
                failure = None
            except ControllerError as error:
                failure = error
            if self.outbox.is_attached:
                # It worked for a while: what follows is worth a line even if it was told before.
                reason = ""
            self.outbox.attach(attached=False)
            if failure is not None and failure.message != reason:
                reason = failure.message
                _log(failure)
            self._give_up_if_refused(failure)
            is_refusal = failure is not None and failure.is_refusal
            await (refusal if is_refusal else outage).wait()

    async def _attach(self, backoffs: list[Backoff]) -> None:
        """Register, and follow the assignments until the controller ends the stream."""
        async with self.link.stub() as stub:
            await told(stub.Register(self.registration, timeout=CALL_SECONDS))
            self.refusals.succeeded()
            self.outbox.attach(attached=True)
            self.registered.set()
            # So that the controller knows what has been given back before it says what is assigned.
            with anyio.move_on_after(REPORTS_SECONDS):
                await self.outbox.wait_empty()
            call = stub.Status(jumpstarter_pb2.StatusRequest())
            async with messages(call) as news:
                async for message in news:
                    for backoff in backoffs:
                        backoff.reset()
                    self.assignments.update(assignment_of(message))
                    # Whatever waits for the end of a lease may look again.
                    self.outbox.attach(attached=True)

    def _give_up_if_refused(self, failure: ControllerError | None) -> None:
        if failure is None or not failure.is_refusal or self.registered.is_set():
            return
        if self.refusals.failed(anyio.current_time()):
            message = (
                f"the controller refuses this exporter: {failure.message}; "
                "check endpoint, metadata and token in its file"
            )
            raise ConnectionFailure(message) from None


def _log(failure: ControllerError) -> None:
    if failure.is_refusal:
        logger.error("the controller refuses this exporter: %s; trying again", failure.message)
    else:
        logger.warning("the controller cannot be reached: %s; trying again", failure.message)
