"""Giving a lease back, whatever is going on around it."""

import logging
from typing import Final

import anyio
import grpc

from jumpstarter.model.errors import ConnectionError  # noqa: A004 - its public name
from jumpstarter.model.lease_progress import Patience, judge_failure
from jumpstarter.rpc.retry import Backoff

from .grpc import ClientService, code_of, details_of

RELEASE_SECONDS: Final = 30.0
"""Seconds in which a controller that is away may come back to take the lease."""

_logger = logging.getLogger(__name__)


async def release_lease(service: ClientService, name: str, tries: int | None = None) -> bool:
    """Release the lease and return whether it is over.

    Cancellation does not stop it, but it has an end; failing is logged, and raises nothing. With
    `tries` it is one that may not even exist: then failing is not worth a word.
    """
    said = "the controller did not answer"
    backoff = Backoff(first_s=0.2, longest_s=2.0, tries=tries and tries - 1)
    with anyio.CancelScope(shield=True), anyio.move_on_after(RELEASE_SECONDS):
        while True:
            try:
                await service.DeleteLease(name=name)
            except ConnectionError as error:
                if code_of(error) is grpc.StatusCode.FAILED_PRECONDITION:
                    # Released already, for example by the exporter.
                    return True
                said = details_of(error)
                if judge_failure(code_of(error).name, said) is not Patience.WAIT:
                    break
            else:
                return True
            if not await backoff.wait():
                break
    if tries is None:
        _logger.warning(
            "lease %s could not be released, and lasts until its end: %s; "
            "`jmp delete leases %s` releases it",
            name,
            said,
            name,
        )
    return False
