"""Arguments are converted, or refused by name."""

import inspect
from collections.abc import AsyncGenerator
from typing import Annotated
from uuid import UUID

import pytest
from pydantic import Strict

from jumpstarter_driver_opendal.arguments import validated

ID = "6b0a3a0e-3a4e-4b0e-8b0e-3a4e4b0e8b0e"


class Example:
    @validated
    def plain(self, identity: UUID, count: Annotated[int, Strict()] = 1) -> tuple[UUID, int]:
        return identity, count

    @validated
    async def coroutine(self, path: str) -> str:
        return path

    @validated
    async def generator(self, path: str) -> AsyncGenerator[str, None]:
        yield path


async def test_kinds_of_functions_are_kept() -> None:
    assert inspect.iscoroutinefunction(Example.coroutine)
    assert inspect.isasyncgenfunction(Example.generator)
    assert not inspect.iscoroutinefunction(Example.plain)
    assert await Example().coroutine("a") == "a"
    assert [item async for item in Example().generator("a")] == ["a"]


def test_arguments_are_converted_and_defaults_kept() -> None:
    assert Example().plain(ID) == (UUID(ID), 1)  # pyright: ignore[reportArgumentType] - converted


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("x",), "plain: argument 'identity': Input should be a valid UUID"),
        ((ID, "2"), "plain: argument 'count': Input should be a valid integer, not '2'"),
        ((ID, True), "plain: argument 'count': Input should be a valid integer, not True"),
        ((), "plain: missing a required argument: 'identity'"),
        ((ID, 1, 2), "plain: too many positional arguments"),
    ],
)
def test_wrong_argument_is_named_in_one_line(args: tuple[object, ...], message: str) -> None:
    with pytest.raises(ValueError, match="plain") as caught:
        Example().plain(*args)  # pyright: ignore[reportCallIssue, reportArgumentType] - wrong on purpose
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


async def test_wrong_argument_of_a_generator_is_named() -> None:
    with pytest.raises(ValueError, match="generator: argument 'path'"):
        await anext(Example().generator(5))  # pyright: ignore[reportArgumentType] - wrong on purpose
