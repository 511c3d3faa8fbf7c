"""What a client calls on an exporter: the methods of both services over one or more channels."""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias, cast

import grpc
from grpc.aio import Channel
from jumpstarter_protocol import jumpstarter_pb2_grpc, router_pb2_grpc

STREAM_SERVICE: Final = "jumpstarter.v1.RouterService"
STREAM_METHOD: Final = f"/{STREAM_SERVICE}/Stream"
MetadataEntries: TypeAlias = tuple[tuple[str, str], ...]


class MultipathExporterStub:
    """Offers ExporterService and RouterService over the first of `channels` that is ready.

    `RawStream` is RouterService's Stream with bytes for messages.

    Each access of a method chooses anew; when no channel is ready it is the last one.
    """

    def __init__(self, channels: Sequence[Channel], metadata: MetadataEntries = ()) -> None:
        """Use `channels`, adding `metadata` to every call; raises ValueError without a channel."""
        if not channels:
            message = "MultipathExporterStub needs at least one channel"
            raise ValueError(message)
        self.blocking_call: Callable[..., Any] | None = None
        """DriverCall for threads without an event loop, where there is a connection for it."""
        self._channels = list(channels)
        self._stubs = [_methods(channel, metadata) for channel in channels]
        if len(channels) == 1:
            # With nothing to choose, methods are plain attributes.
            self.__dict__.update(self._stubs[0])

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - stands for two generated stubs
        """Return the method `name` of the channel to use now."""
        if name.startswith("_"):
            raise AttributeError(name)
        for channel, methods in zip(self._channels, self._stubs, strict=True):
            if channel.get_state(try_to_connect=True) is grpc.ChannelConnectivity.READY:
                return _method(methods, name)
        return _method(self._stubs[-1], name)


def _methods(channel: Channel, metadata: MetadataEntries) -> dict[str, object]:
    exporter = cast("Any", jumpstarter_pb2_grpc.ExporterServiceStub)(channel)
    router = cast("Any", router_pb2_grpc.RouterServiceStub)(channel)
    methods: dict[str, Callable[..., object]] = {
        **vars(exporter),
        **vars(router),
        "RawStream": channel.stream_stream(STREAM_METHOD, None, None),
    }
    if not metadata:
        return dict(methods)
    return {name: _with_metadata(method, metadata) for name, method in methods.items()}


def _with_metadata(
    method: Callable[..., object], entries: MetadataEntries
) -> Callable[..., object]:
    # An interceptor would do the same, but puts a queue and a task between a stream and its caller.
    def call(*args: object, metadata: MetadataEntries = (), **kwargs: object) -> object:
        return method(*args, metadata=(*entries, *metadata), **kwargs)

    return call


def _method(methods: dict[str, object], name: str) -> object:
    try:
        return methods[name]
    except KeyError:
        message = f"neither ExporterService nor RouterService has a method {name}"
        raise AttributeError(message) from None
