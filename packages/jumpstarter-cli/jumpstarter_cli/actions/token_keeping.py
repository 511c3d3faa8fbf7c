"""Sees to it that a client's token lasts as long as its shell, or warns that it will not."""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

import anyio
from anyio import to_thread
from jumpstarter.config.client import ClientConfigV1Alpha1
from jumpstarter.config.current_token import CurrentToken
from jumpstarter.model.errors import JumpstarterException

from jumpstarter_cli.access import renew
from jumpstarter_cli.tokens import SOON_SECONDS, NoTokenError, read_claims, span

RENEW_SECONDS: Final = 120.0
"""How long before its end a token is renewed that can be."""

LONGEST_SLEEP_S: Final = 60.0
"""A machine that was suspended, or a file that was replaced, is noticed after this."""

logger = logging.getLogger(__name__)

Sleep = Callable[[float], Awaitable[None]]


async def keep_token(
    config: ClientConfigV1Alpha1,
    now: Callable[[], float] = time.time,
    sleep: Sleep = anyio.sleep,
) -> None:
    """Renew the token of `config` before its end, or warn of the end once; return for one without.

    A token that was replaced in the file, by whomever, is the one that counts.
    """
    current = CurrentToken(config.token or "", config.path)
    warned = ""
    while True:
        token = current()
        remaining = _remaining(token, now())
        if remaining is None:
            return
        due = RENEW_SECONDS if config.refresh_token and token != warned else SOON_SECONDS
        if remaining <= due and token != warned:
            if config.refresh_token and await _renewed(config):
                continue
            warned = token
            _warn(remaining)
        await sleep(max(1.0, min(remaining - due, LONGEST_SLEEP_S)))


async def _renewed(config: ClientConfigV1Alpha1) -> bool:
    before = config.token
    try:
        await to_thread.run_sync(renew, config, abandon_on_cancel=True)
    except JumpstarterException as error:
        logger.warning("the token could not be renewed: %s", error.message)
    return config.token != before


def _warn(remaining: float) -> None:
    if remaining <= 0:
        logger.warning("the token has expired: log in again with `jmp login`; the shell goes on")
    else:
        logger.warning(
            "the token is good for %s only: log in again with `jmp login`, perhaps elsewhere; "
            "the shell goes on",
            span(remaining),
        )


def _remaining(token: str, now: float) -> float | None:
    try:
        return read_claims(token).remaining(now)
    except NoTokenError:
        return None
