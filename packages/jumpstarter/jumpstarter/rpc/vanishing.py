"""A client that vanishes while a server answers it: the end of its call, and nobody's failure.

gRPC cancels the handler of a client that leaves. Where something was on its way to that client,
sending it may fail first; grpc.aio takes that for an error of the server, and logs it with its
traceback.
"""

import asyncio
import logging
from collections.abc import Awaitable

from grpc.aio import InternalError

GRPC_LOGGER = "grpc._cython.cygrpc"

logger = logging.getLogger(__name__)


async def to_client(sending: Awaitable[None]) -> None:
    """Await what a handler sends by its context; a client that has vanished cancels the handler.

    The same happens to it when gRPC hears of that in time.
    """
    try:
        await sending
    except InternalError as error:
        task = asyncio.current_task()
        if task is None or not _tells_of_vanishing(error):
            raise
        task.cancel()
        await asyncio.sleep(0)


def expect_vanishing() -> None:
    """Log clients that vanish when debugging only, for all servers of this process."""
    logging.getLogger(GRPC_LOGGER).addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    if not _tells_of_vanishing(error):
        return True
    logger.debug("a client left before it had its answer: %s", record.getMessage())
    return False


def _tells_of_vanishing(error: BaseException | None) -> bool:
    """Return whether something that was begun to be sent came to nothing, as the call was over."""
    return isinstance(error, InternalError) and str(error).startswith('Failed "execute_batch"')
