"""What a server tells of the requests that came to it. Pure: values, and their JSON form.

Names and texts come from whoever sends a datagram. In JSON they are text that can be carried: bytes
that are no UTF-8 stand there as `\\xff`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import Enum
from typing import Any

from jumpstarter_driver_tftp.options import Pairs


class State(Enum):
    """What has become of a request."""

    RUNNING = "running"
    COMPLETE = "complete"
    """Everything arrived."""
    REFUSED = "refused"
    """This server began no transfer: it answered with an ERROR, or, to too many, not at all."""
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

    @property
    def address(self) -> str:
        """The address of whoever asked, without the port."""
        return self.client.rpartition(":")[0].strip("[]")

    @property
    def whole(self) -> bool:
        """Whether the receiving side has acknowledged every byte of the file."""
        return self.state is State.COMPLETE or (
            self.size is not None and self.done >= self.size > 0
        )

    def to_json(self) -> dict[str, Any]:
        """Return the report as a driver can send it."""
        return asdict(self) | {
            "name": _text(self.name),
            "mode": _text(self.mode),
            "text": _text(self.text),
            "state": self.state.value,
            "asked": _lists(self.asked),
            "granted": _lists(self.granted),
            "near": [_text(name) for name in self.near],
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A driver's server as a whole.

    Attributes:
        running: whether it answers requests.
        host: the address that it listens on, or would.
        port: the port that it listens on, or would.
        url: the root of the files, as a client names it.
        requests: how many have come since the server was started.
        counts: how many of the latest ones are in which state, by the state's value.
        transfers: those that run now.
        settings: what the server is configured to do.
        limits: how much it does at once.
    """

    running: bool
    host: str
    port: int
    url: str
    requests: int = 0
    counts: Mapping[str, int] = field(default_factory=dict[str, int])
    transfers: tuple[Report, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    limits: Mapping[str, float] = field(default_factory=dict[str, float])

    def to_json(self) -> dict[str, Any]:
        """Return the status as a driver can send it."""
        plain = {item.name: getattr(self, item.name) for item in fields(self)}
        return plain | {"transfers": [report.to_json() for report in self.transfers]}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Status":
        """Return the status that `to_json` made; numbers may have become floats on the way."""
        whole = _whole(data)
        return cls(**whole | {"transfers": tuple(map(Report.from_json, data["transfers"]))})


def _whole(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return a JSON value with integers where a number has no fraction."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case dict():
            return {key: _whole(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType] - any JSON
        case _:
            return value


def _text(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _lists(pairs: Pairs) -> list[list[str]]:
    return [[_text(option), _text(value)] for option, value in pairs]
