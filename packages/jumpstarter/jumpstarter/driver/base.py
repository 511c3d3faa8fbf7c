"""`Driver`, the class that every driver extends.

A driver is a pydantic dataclass: its fields are the configuration keys of its entry in the
exporter's file. Methods marked with `export` and `exportstream` are what clients reach; the methods
here answer the exporter, which owns the tree.
"""

import logging
from abc import ABCMeta, abstractmethod
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from dataclasses import field
from typing import Any, ClassVar
from uuid import UUID

from anyio.abc import ObjectStream
from jumpstarter_protocol import jumpstarter_pb2
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from jumpstarter.model.metadata import CLIENT_LABEL, NAME_LABEL, Metadata
from jumpstarter.model.requests import DriverStreamRequest, ResourceStreamRequest

from . import dispatch
from .resources import (
    RESOURCE_TIMEOUT,
    SUPPORTED_CONTENT_ENCODINGS,
    offer,
    open_resource,
)


@dataclass(kw_only=True, config=ConfigDict(arbitrary_types_allowed=True))
class Driver(Metadata, metaclass=ABCMeta):
    """Base of all drivers.

    A subclass may be undecorated, a standard `dataclass(kw_only=True)` or a pydantic one; only the
    last, and the first, validate their arguments.
    """

    driver_type: ClassVar[str] = "other"
    """Category in logs: power, storage, network, serial, console, video, composite, other."""

    children: dict[str, "Driver"] = field(default_factory=dict[str, "Driver"])
    """Drivers below this one, by name. A driver may add its own in `__post_init__`."""

    resources: dict[UUID, Any] = field(default_factory=dict[UUID, Any], init=False)
    """Streams that a client offered and no call has taken yet."""

    description: str | None = None
    """Replaces the help text of the driver's command group."""

    methods_description: dict[str, str] = field(default_factory=dict[str, str])
    """Replaces the help text of single commands, by command name."""

    log_level: str = "INFO"
    """Level of `logger`."""

    logger: logging.Logger = field(init=False)
    """Records of this logger reach the clients that read the exporter's log."""

    def __post_init__(self) -> None:
        """Make the logger; a subclass that overrides this calls it first."""
        inherited = getattr(super(), "__post_init__", None)
        if inherited is not None:
            inherited()
        self.logger = logging.getLogger(f"driver.{type(self).__name__}")
        self.logger.setLevel(self.log_level)

    @classmethod
    @abstractmethod
    def client(cls) -> str:
        """Return the dotted path of the client class, `package.client.Class`."""

    def extra_labels(self) -> dict[str, str]:
        """Return labels that the driver adds to its report; they win over configured ones."""
        return {}

    def close(self) -> None:
        """Release what the driver holds; called once, when its session ends.

        Every child is closed, in order; what one of them raises is raised after the last.
        """
        with ExitStack() as stack:
            for child in reversed(self.children.values()):
                stack.callback(child.close)

    def reset(self) -> None:
        """Bring the driver to its initial state; called when a session starts."""
        for child in self.children.values():
            child.reset()

    @asynccontextmanager
    async def resource(
        self,
        handle: object,
        timeout: int = RESOURCE_TIMEOUT,  # noqa: ASYNC109 - public API
    ) -> AsyncGenerator[ObjectStream[bytes]]:
        """Yield the byte stream behind `handle`, an argument that a client sent.

        Read it for what the client sends, write to it for what the client receives. `timeout` is
        the number of seconds that an HTTP transfer may take. Raises ValueError for a handle that is
        malformed, unknown or used up.
        """
        async with open_resource(self.resources, handle, timeout) as stream:
            yield stream

    def report(
        self, *, parent: "Driver | None" = None, name: str | None = None
    ) -> jumpstarter_pb2.DriverInstanceReport:
        """Return what clients are told about this driver, below `parent` under `name`."""
        labels = self.labels | self.extra_labels() | {CLIENT_LABEL: self.client()}
        if name is not None:
            labels[NAME_LABEL] = name
        return jumpstarter_pb2.DriverInstanceReport(
            uuid=str(self.uuid),
            parent_uuid=None if parent is None else str(parent.uuid),
            labels=labels,
            description=self.description,
            methods_description=self.methods_description,
        )

    def enumerate(
        self,
        *,
        root: "Driver | None" = None,
        parent: "Driver | None" = None,
        name: str | None = None,
    ) -> list[tuple[UUID, "Driver | None", str | None, "Driver"]]:
        """Return (uuid, parent, name, driver) of this driver and all below it, parents first."""
        top = self if root is None else root
        rows: list[tuple[UUID, Driver | None, str | None, Driver]] = [
            (self.uuid, parent, name, self)
        ]
        for child_name, child in self.children.items():
            rows += child.enumerate(root=top, parent=self, name=child_name)
        return rows

    async def DriverCall(  # noqa: N802 - the name of the RPC
        self, request: jumpstarter_pb2.DriverCallRequest, context: object = None
    ) -> jumpstarter_pb2.DriverCallResponse:
        """Run one exported method. What it raises is the caller's to translate."""
        del context
        return await dispatch.call(self, request)

    def StreamingDriverCall(  # noqa: N802 - the name of the RPC
        self, request: jumpstarter_pb2.StreamingDriverCallRequest, context: object = None
    ) -> AsyncGenerator[jumpstarter_pb2.StreamingDriverCallResponse, None]:
        """Run one exported generator; closing this generator closes that one."""
        del context
        return dispatch.streaming_call(self, request)

    def Stream(  # noqa: N802 - the name of the RPC
        self, request: DriverStreamRequest | ResourceStreamRequest, context: object = None
    ) -> AbstractAsyncContextManager[ObjectStream[bytes]]:
        """Open the byte stream that `request` asks for."""
        del context
        if isinstance(request, ResourceStreamRequest):
            return offer(self.resources, request)
        return dispatch.open_stream(self, request.method)


__all__ = ["SUPPORTED_CONTENT_ENCODINGS", "Driver"]
