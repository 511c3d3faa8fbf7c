"""What a machine wants done. Whoever runs it does these in the order in which they come."""

from dataclasses import dataclass
from enum import Enum, auto

from jumpstarter_driver_tftp.packet import Error


@dataclass(frozen=True, slots=True)
class Send:
    """Send this datagram to the far side."""

    datagram: bytes


@dataclass(frozen=True, slots=True)
class Write:
    """Append these bytes to the file, before the next command is carried out.

    `last` means that the file is complete: what follows tells the far side so.
    """

    data: bytes
    last: bool


class Outcome(Enum):
    """How a transfer ended."""

    COMPLETE = auto()
    """Everything arrived."""
    REFUSED = auto()
    """The far side sent an ERROR."""
    TIMED_OUT = auto()
    """The far side fell silent."""
    FAILED = auto()
    """This side sent an ERROR."""
    GONE = auto()
    """The far side can no longer be reached, or has begun anew; only who runs a machine knows."""


@dataclass(frozen=True, slots=True)
class Finish:
    """The transfer has ended; nothing more comes.

    `code` and `text` are those of the ERROR packet, for the outcomes that have one.
    """

    outcome: Outcome
    code: int = 0
    text: str = ""


Command = Send | Write | Finish


def fail(code: int, text: str) -> list[Command]:
    """Tell the far side why, and end."""
    return [Send(Error(code, text).encode()), Finish(Outcome.FAILED, code, text)]
