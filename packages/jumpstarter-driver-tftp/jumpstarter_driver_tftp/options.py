"""What the two sides agree on before the first block: RFC 2347, 2348, 2349 and 7440.

Each option stands alone: one that is unknown, malformed or out of range is left out of the answer
and changes nothing, whatever the others say. Of an option that is given twice, the first counts.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from jumpstarter_driver_tftp.errors import OptionError
from jumpstarter_driver_tftp.packet import MAX_BLOCK_BYTES, Error, TftpErrorCode

DEFAULT_BLOCK_BYTES = 512
"""The block size of RFC 1350, which holds when nobody asks for another."""

MIN_BLOCK_BYTES = 8
MAX_TIMEOUT_SECONDS = 255
MAX_WINDOW_BLOCKS = 65535

_MAX_DIGITS = len(str(2**64))

Pairs = tuple[tuple[str, str], ...]
"""Options as they stand in a packet, in order."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds during one transfer.

    Attributes:
        blksize: bytes in every block but the last.
        windowsize: blocks that may be under way without an answer.
        timeout: seconds of silence after which a packet is sent again; at most, or exactly.
        tsize: bytes in the file as the far side announced it, or None.
        exact_timeout: whether the client gave the timeout, so that nothing shorter will do.
    """

    blksize: int = DEFAULT_BLOCK_BYTES
    windowsize: int = 1
    timeout: float = 5.0
    tsize: int | None = None
    exact_timeout: bool = False


@dataclass(frozen=True, slots=True)
class Offer:
    """What a server grants at most.

    Attributes:
        terms: what holds where the client asks for nothing.
        max_windowsize: the largest window in blocks.
        size: bytes that will be sent, or None when the client is not to be told.
    """

    terms: Terms
    max_windowsize: int = 64
    size: int | None = None


def negotiate(asked: Iterable[tuple[str, str]], offer: Offer) -> tuple[Terms, Pairs]:
    """Return the terms of a transfer, and the pairs for the OACK that says so.

    No pairs means that there is nothing to acknowledge, and that no OACK is sent.
    """
    agreed: dict[str, int] = {}
    for name, value in _first_of_each(asked).items():
        grant = _GRANTS.get(name)
        number = _number(value)
        if grant is None or number is None:
            continue
        granted = grant(number, offer)
        if granted is not None:
            agreed[name] = granted
    answer = tuple([(name, str(number)) for name, number in agreed.items()])
    return _with(offer.terms, agreed), answer


def accept(asked: Pairs, acknowledged: Pairs, defaults: Terms) -> Terms:
    """Return the terms that a server's OACK sets, when `asked` was the request.

    Raises:
        OptionError: the server acknowledged what was not asked for, or more than was asked for.
    """
    wanted = _first_of_each(asked)
    agreed: dict[str, int] = {}
    for name, value in _first_of_each(acknowledged).items():
        if name not in wanted:
            raise OptionError(f"option {name!r} was not asked for")
        number, limit = _number(value), _number(wanted[name])
        if number is None or limit is None or not _ACCEPTABLE[name](number, limit):
            raise OptionError(f"option {name!r}: {value!r} does not answer {wanted[name]!r}")
        agreed[name] = number
    return _with(defaults, agreed)


def announced_size(asked: Iterable[tuple[str, str]]) -> int | None:
    """Return how large a client says that the file is which it writes, or None if it does not."""
    return _number(_first_of_each(asked).get("tsize", ""))


def too_large(max_bytes: int) -> Error:
    """Return the answer to a file, announced or coming, that has more bytes than are taken."""
    return Error(TftpErrorCode.DISK_FULL, f"File is larger than {max_bytes} bytes")


def _grant_blksize(number: int, _offer: Offer) -> int | None:
    return min(number, MAX_BLOCK_BYTES) if number >= MIN_BLOCK_BYTES else None


def _grant_timeout(number: int, _offer: Offer) -> int | None:
    return number if 1 <= number <= MAX_TIMEOUT_SECONDS else None


def _grant_windowsize(number: int, offer: Offer) -> int | None:
    return min(number, offer.max_windowsize) if 1 <= number <= MAX_WINDOW_BLOCKS else None


def _grant_tsize(_number: int, offer: Offer) -> int | None:
    # An empty file's size is not announced: curl 7.88 takes `tsize=0` for a malformed OACK.
    return offer.size or None


_GRANTS: Mapping[str, Callable[[int, Offer], int | None]] = {
    "blksize": _grant_blksize,
    "timeout": _grant_timeout,
    "tsize": _grant_tsize,
    "windowsize": _grant_windowsize,
}

_ACCEPTABLE: Mapping[str, Callable[[int, int], bool]] = {
    "blksize": lambda number, limit: MIN_BLOCK_BYTES <= number <= limit,
    "timeout": lambda number, limit: number == limit,
    "tsize": lambda _number, _limit: True,
    "windowsize": lambda number, limit: 1 <= number <= limit,
}


def _with(terms: Terms, agreed: Mapping[str, int]) -> Terms:
    """Return `terms` with what was agreed instead, by the names of the options."""
    if not agreed:
        return terms
    timeout = agreed.get("timeout")
    return Terms(
        blksize=agreed.get("blksize", terms.blksize),
        windowsize=agreed.get("windowsize", terms.windowsize),
        timeout=terms.timeout if timeout is None else float(timeout),
        tsize=agreed.get("tsize", terms.tsize),
        exact_timeout=terms.exact_timeout or timeout is not None,
    )


def _first_of_each(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    first: dict[str, str] = {}
    for name, value in pairs:
        first.setdefault(name.lower(), value)
    return first


def _number(value: str) -> int | None:
    # `int` would also take signs, spaces, underscores and digits of other scripts.
    digits = value.isascii() and value.isdigit() and len(value) <= _MAX_DIGITS
    return int(value) if digits else None
