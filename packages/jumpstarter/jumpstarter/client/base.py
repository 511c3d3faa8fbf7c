"""`DriverClient`, the class that every driver's client extends: blocking calls and streams.

The portal's event loop runs in another thread; everything here may be called from any thread but
that one.
"""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar, NoReturn, cast

import grpc
from anyio.from_thread import BlockingPortal

from jumpstarter.model.values import decode_value
from jumpstarter.rpc.blocking import is_in_event_loop
from jumpstarter.streams.blocking import BlockingStream

from .core import AsyncDriverClient, call_request
from .errors import FailedCall, call_error, cause
from .prefetch import prefetch


@dataclass(kw_only=True)
class DriverClient(AsyncDriverClient):
    """The client of one driver. A subclass adds methods that use `call`, `streamingcall`, `stream`.

    A subclass may be undecorated, a standard `dataclass(kw_only=True)` or a pydantic one. It may
    have a method `cli()` that returns a click group or command for `j`.
    """

    __pydantic_config__: ClassVar[dict[str, bool]] = {"arbitrary_types_allowed": True}
    """For subclasses that are pydantic dataclasses; this class is none, since pydantic is slow."""

    children: dict[str, "DriverClient"] = field(default_factory=dict[str, "DriverClient"])
    portal: BlockingPortal
    stack: ExitStack
    description: str | None = None
    methods_description: dict[str, str] = field(default_factory=dict[str, str])

    def call(self, method: str, *args: object) -> Any:  # noqa: ANN401 - what the driver returns
        """Call an exported method and return its result.

        Raises as `call_async` does, and RuntimeError after the client's session.
        """
        blocking_call = getattr(self.stub, "blocking_call", None)
        if (
            blocking_call is None
            or is_in_event_loop()
            or type(self).call_async is not AsyncDriverClient.call_async
        ):
            return self.portal.call(self.call_async, method, *args)
        request = call_request(self.uuid, method, args)
        try:
            response = blocking_call(request)
        except grpc.RpcError as error:
            failed = cast("FailedCall", error)
            raise call_error(failed, method) from cause(failed)
        except ValueError as error:
            # What gRPC raises for a closed channel; a caller would take it for a wrong argument.
            message = f"call of '{method}': the session of this client is closed"
            raise RuntimeError(message) from error
        return decode_value(response.result)

    def streamingcall(self, method: str, *args: object) -> Generator[Any, None, None]:
        """Call an exported generator when first asked for an item, and yield its items.

        Closing the generator stops the one on the exporter. Raises as `call_async` does.
        """
        return prefetch(self.portal, lambda: self.streamingcall_async(method, *args))

    @contextmanager
    def stream(self, method: str = "connect") -> Generator[BlockingStream]:
        """Open the byte stream `method` and yield it; raises as `stream_async` does."""
        with self.portal.wrap_async_context_manager(self.stream_async(method)) as stream:
            yield BlockingStream(stream=stream, portal=self.portal)

    def open_stream(self) -> BlockingStream:
        """Open the stream `connect`; it stays open until this client is closed."""
        return self.stack.enter_context(self.stream())

    @contextmanager
    def log_stream(self) -> Generator[None]:
        """Hand the exporter's log records to the local loggers `exporter:*` inside the context."""
        with self.portal.wrap_async_context_manager(self.log_stream_async()):
            yield

    def close(self) -> None:
        """Close what was opened for this client; can be repeated."""
        self.stack.close()

    def __del__(self) -> None:
        """Close what was left open."""
        stack = getattr(self, "stack", None)
        if stack is not None:
            # The portal may have ended before the last reference to this client did.
            with suppress(RuntimeError):
                stack.close()


class StubDriverClient(DriverClient):
    """Stands for a client class that cannot be used here; any use raises ImportError."""

    def call(self, method: str, *args: object) -> NoReturn:
        """Raise ImportError, which says what to install or to allow."""
        del method, args
        self._refuse()

    def streamingcall(self, method: str, *args: object) -> NoReturn:
        """Raise ImportError."""
        del method, args
        self._refuse()

    def stream(self, method: str = "connect") -> NoReturn:
        """Raise ImportError."""
        del method
        self._refuse()

    def log_stream(self) -> NoReturn:
        """Raise ImportError."""
        self._refuse()

    def __getattr__(self, name: str) -> NoReturn:
        """Raise ImportError, except for names that Python itself looks for."""
        if name.startswith("__"):
            raise AttributeError(name)
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise ImportError(self.__dict__.get("reason", "the client of this driver is not available"))
