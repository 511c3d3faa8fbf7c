"""What a server tells of the requests that came to it. Pure: values, and their JSON form."""

from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from jumpstarter_driver_tftp.options import Pairs


class State(Enum):
    """What has become of a request."""

    RUNNING = "running"
    COMPLETE = "complete"
    """Everything arrived."""
    REFUSED = "refused"
    """This server answered the request with an ERROR and began no transfer."""
    ABORTED = "aborted"
    """The client ended the transfer with an ERROR."""
    FAILED = "failed"
    """This server ended the transfer with an ERROR."""
    SILENT = "silent"
    """The client fell silent."""
    GONE = "gone"
    """The client closed its port, cannot be reached, or has begun anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One request, and how far it is.

    Attributes:
        number: counts the requests from 1; the same in all reports of one request.
        client: address and port of whoever asked.
        server: address and port that was asked.
        action: `read` or `write`; empty for a datagram that is no request.
        name: the file, as it was asked for.
        mode: `octet` or `netascii`, in lower case.
        asked: the options of the request, in order.
        granted: the options that the server acknowledged.
        state: what has become of it.
        code: code of the ERROR packet, for the states that have one.
        text: text of the ERROR packet, or what else is known about the end.
        size: bytes in the file, or None when that is not known.
        done: bytes that the receiving side has acknowledged, or, of an upload, that have come.
        blocks: blocks that were acknowledged, or have come.
        block_size: bytes in a block.
        window: blocks in a window.
        resent: packets that were sent more than once.
        heard: whether the client has answered at all after its request.
        rtt: measured round trip in seconds, or None before the first.
        began: when the request came, in seconds since the epoch.
        seconds: how long it has run, or ran.
        near: names of files that are there and resemble one that is not.
    """

    number: int
    client: str
    server: str
    action: str
    name: str
    mode: str = ""
    asked: Pairs = ()
    granted: Pairs = ()
    state: State
    code: int = 0
    text: str = ""
    size: int | None = None
    done: int = 0
    blocks: int = 0
    block_size: int = 512
    window: int = 1
    resent: int = 0
    heard: bool = False
    rtt: float | None = None
    began: float = 0.0
    seconds: float = 0.0
    near: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the report as a driver can send it."""
        return asdict(self) | {
            "state": self.state.value,
            "asked": [list(pair) for pair in self.asked],
            "granted": [list(pair) for pair in self.granted],
            "near": list(self.near),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Report":
        """Return the report that `to_json` made; numbers may have become floats on the way."""
        values: dict[str, Any] = data | {name: int(data[name]) for name in _INTEGERS}
        values["state"] = State(data["state"])
        values["size"] = None if data["size"] is None else int(data["size"])
        values["near"] = tuple(data["near"])
        for name in ("asked", "granted"):
            values[name] = tuple((option, value) for option, value in data[name])
        return cls(**values)


_INTEGERS = ("number", "code", "done", "blocks", "block_size", "window", "resent")
