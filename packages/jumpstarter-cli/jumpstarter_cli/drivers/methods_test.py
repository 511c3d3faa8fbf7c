from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager

import pydantic
from jumpstarter.driver import Driver, export, exportstream

from .methods import Method, methods_of


class Base(Driver):
    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"

    @export
    def first(self) -> None:
        """Come first.

        Not this.
        """

    @export
    def hidden(self) -> None:
        """Be exported here."""


class Device(Base):
    def hidden(self) -> None:
        """Be exported no more, because this override is not."""

    @export
    @pydantic.validate_call
    def seek(self, where: int, *parts: str, whence: int = 0) -> int | None:
        """Go there."""

    @export
    def watch(self) -> Generator[int, None, None]:
        yield 1

    @export
    async def follow(self, untyped="x"):  # pyright: ignore[reportMissingParameterType] - that is the case
        yield untyped

    @exportstream
    @asynccontextmanager
    async def connect(self) -> AsyncGenerator[None]:
        """Open it."""
        yield


def test_all_that_is_exported_is_found_with_its_kind_and_signature():
    assert methods_of(Device) == [
        Method(name="first", kind="call", signature="() -> None", description="Come first."),
        Method(
            name="seek",
            kind="call",
            signature="(where: int, *parts: str, whence: int = 0) -> int | None",
            description="Go there.",
        ),
        Method(
            name="watch",
            kind="streaming call",
            signature="() -> Generator[int, None, None]",
            description="",
        ),
        Method(name="follow", kind="streaming call", signature="(untyped='x')", description=""),
        Method(name="connect", kind="byte stream", signature="()", description="Open it."),
    ]
