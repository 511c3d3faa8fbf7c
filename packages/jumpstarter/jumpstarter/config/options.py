"""gRPC channel options, as files give them: names to texts or whole numbers."""

from typing import Annotated

from pydantic import BeforeValidator


def _without_null(value: object) -> object:
    return {} if value is None else value


def _option(value: object) -> object:
    if isinstance(value, bool):
        return int(value)
    if not isinstance(value, str | int):
        raise ValueError("must be text or a whole number")  # noqa: TRY004 - pydantic collects ValueError
    return value


GrpcOptions = Annotated[
    dict[str, Annotated[str | int, BeforeValidator(_option)]],
    BeforeValidator(_without_null),
]
