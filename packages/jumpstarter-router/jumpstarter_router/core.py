"""gRPC's core as a server uses it: the only place that knows `cygrpc`, which grpcio stands on.

grpc.aio wakes an event loop, through a socket, for each message that is read and for each that is
written. A relay does nothing else, so this costs it more than all the rest. Here the thread that
gRPC tells about a message starts the next operation itself, as in grpcio's own blocking server.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, TypeAlias, cast

import grpc
from grpc._cython import cygrpc as _cygrpc  # pyright: ignore[reportMissingTypeStubs] - has none
from jumpstarter.rpc.servers import OPTIONS, Bind

from .switchboard import Code, Outcome

cygrpc = cast("Any", _cygrpc)

WINDOW: Final = 2 << 20
"""Bytes that a caller may send before they are taken: enough for 20 MiB/s over 100 ms."""

RELAY_OPTIONS: Final = (
    *OPTIONS,
    # gRPC would open the windows further and further while data flows, and keep all that arrives
    # for a side that does not read.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", WINDOW),
    # A caller that vanished without a word is noticed as patiently as callers notice servers.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 180_000),
)

FAILED: Final = Outcome(Code.INTERNAL, "the router failed; its log says how")

Metadata: TypeAlias = Sequence[tuple[str, str | bytes]]


class Operation(Protocol):
    """An operation that was carried out; each kind has one of these."""

    def message(self) -> bytes | None:
        """Return the message that was read."""
        ...

    def cancelled(self) -> bool:
        """Return whether the call broke before it got a status."""
        ...


class Event(Protocol):
    """What a batch of operations came to."""

    @property
    def success(self) -> bool:
        """Whether they were carried out; not whether the call is well."""
        ...

    @property
    def batch_operations(self) -> Sequence[Operation]:
        """The operations."""
        ...


class Details(Protocol):
    """What a call is for."""

    @property
    def method(self) -> bytes:
        """Its path."""
        ...


class Call(Protocol):
    """A call of gRPC's core."""

    def start_server_batch(self, operations: Sequence[object], tag: "Tag") -> int:
        """Begin operations; return 0 when they were taken."""
        ...

    def cancel(self, code: object, details: str) -> object:
        """End it now."""
        ...

    def peer(self) -> bytes:
        """Return where it comes from."""
        ...


class Arrival(Protocol):
    """A call that came in."""

    @property
    def success(self) -> bool:
        """Whether it did; not when the server stops."""
        ...

    @property
    def call(self) -> Call:
        """The call."""
        ...

    @property
    def call_details(self) -> Details:
        """What it is for."""
        ...

    @property
    def invocation_metadata(self) -> Metadata:
        """What the caller says of itself."""
        ...


Tag: TypeAlias = Callable[[Event], None]
"""What is called with the event of an operation, in the thread that polls."""


class CoreCall:
    """One call, at the server's end. Every operation is answered by one call of its tag."""

    __slots__ = ("_call", "_over", "closed", "metadata", "method")

    def __init__(self, arrival: Arrival, over: Callable[[], None]) -> None:
        """Wrap what came in; `over` is told when it is over."""
        self._call = arrival.call
        self._over = over
        self.closed: Tag = _ignore
        """What is called, last, when the call is over."""
        self._start(cygrpc.ReceiveCloseOnServerOperation(0), self._on_over)
        self.method = arrival.call_details.method.decode("utf-8", "replace")
        self.metadata = arrival.invocation_metadata

    @property
    def peer(self) -> str:
        """The caller's IP address."""
        address = self._call.peer().decode("utf-8", "replace")
        kind, _, rest = address.partition(":")
        return rest.rpartition(":")[0] if kind in ("ipv4", "ipv6") else address

    def open(self) -> None:
        """Tell the caller that it was let in."""
        self._start(cygrpc.SendInitialMetadataOperation(None, 0), _ignore)

    def read(self, received: Tag) -> None:
        """Read one message."""
        self._start(cygrpc.ReceiveMessageOperation(0), received)

    def write(self, message: bytes, sent: Tag) -> None:
        """Write one message."""
        self._start(cygrpc.SendMessageOperation(message, 0), sent)

    def end(self, outcome: Outcome) -> None:
        """Give the call its status, after all that was written."""
        self._start(_status(outcome), _ignore)

    def refuse(self, outcome: Outcome) -> None:
        """Give a call that was not opened its status."""
        self._start(cygrpc.SendInitialMetadataOperation(None, 0), _ignore, _status(outcome))

    def cut(self, outcome: Outcome) -> None:
        """Give the call its status before what was written and not taken, which is lost."""
        self._call.cancel(_code(outcome), outcome.text)

    def _on_over(self, event: Event) -> None:
        self._over()
        self.closed(event)

    def _start(self, operation: object, tag: Tag, *more: object) -> None:
        if self._call.start_server_batch((operation, *more), tag):
            raise RuntimeError("gRPC does not take this operation now")


class Happening:
    """An event, and who is to be told of it."""

    __slots__ = ("_event", "_tag")

    def __init__(self, event: Event, tag: Tag) -> None:
        """Take it from the queue."""
        self._event = event
        self._tag = tag

    def tell(self) -> None:
        """Tell it."""
        self._tag(self._event)

    def fail(self) -> None:
        """End the call that it is about, after `tell` has raised something."""
        call: CoreCall | None = getattr(getattr(self._tag, "__self__", None), "core", None)
        if call is not None:
            call.cut(FAILED)


class CoreServer:
    """A server of gRPC's core, with the queue that it reports to.

    Nothing may be asked of gRPC once its queue has been shut, so that comes after the last call.
    """

    def __init__(self, arrived: Callable[[CoreCall], None]) -> None:
        """Make a server that gives the calls that come in to `arrived`."""
        self._give = arrived
        self.core: CoreCall | None = None
        """The call that came in last."""
        self._calls = 0
        self._stopping = self._gone = False
        self._queue = cygrpc.CompletionQueue()
        self._server = cygrpc.Server(RELAY_OPTIONS, False)  # noqa: FBT003 - its own signature
        self._server.register_completion_queue(self._queue)

    def bind(self, bind: Bind) -> int:
        """Listen there; return the port. Raises OSError when that is not possible."""
        credentials = cast("Any", bind.credentials or grpc.insecure_server_credentials())
        try:
            port = self._server.add_http2_port(
                bind.address.encode(),
                credentials._credentials,  # noqa: SLF001 - as grpcio's own servers do
            )
        except RuntimeError:
            port = 0
        if not port:
            raise OSError(
                f"cannot listen on {bind.address}: is it in use, or not an address of this host?"
            )
        return port

    def start(self) -> None:
        """Take calls."""
        self._server.start()
        self._accept()

    def poll(self, seconds: float) -> Happening | None:
        """Wait so long for something to happen, and return it.

        Raises EOFError when nothing will any more, after `stop`.
        """
        event = self._queue.poll(time.time() + seconds)
        kind = event.completion_type
        if kind == cygrpc.CompletionType.queue_timeout:
            return None
        if kind == cygrpc.CompletionType.queue_shutdown:
            raise EOFError
        return Happening(event, event.tag)

    def stop(self) -> None:
        """Take no calls any more, and cancel those that there are; `poll` goes on till the end."""
        self._stopping = True
        self._server.shutdown(self._queue, self._on_stopped)
        if self._calls:
            self._server.cancel_all_calls()

    def _accept(self) -> None:
        self._server.request_call(self._queue, self._queue, self._on_arrival)

    def _on_arrival(self, event: Arrival) -> None:
        if not event.success:
            return
        if not self._stopping:
            self._accept()
        self._calls += 1
        self.core = CoreCall(event, self._on_over)
        self._give(self.core)

    def _on_over(self) -> None:
        self._calls -= 1
        self._shut()

    def _on_stopped(self, _event: object) -> None:
        self._server.destroy()
        self._gone = True
        self._shut()

    def _shut(self) -> None:
        if self._gone and not self._calls:
            self._queue.shutdown()


def message_of(event: Event) -> bytes | None:
    """Return the message that a `read` brought; None at the end of the messages."""
    return event.batch_operations[0].message()


def is_well(event: Event) -> bool:
    """Return whether a call that is over got its status; else it broke."""
    return not event.batch_operations[0].cancelled()


def _status(outcome: Outcome) -> object:
    return cygrpc.SendStatusFromServerOperation(None, _code(outcome), outcome.text.encode(), 0)


def _code(outcome: Outcome) -> object:
    return getattr(cygrpc.StatusCode, outcome.code)


def _ignore(_event: Event) -> None:
    pass
