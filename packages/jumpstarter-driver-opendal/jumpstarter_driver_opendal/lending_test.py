"""The reason of a failure wins over its consequence."""

from collections.abc import Generator
from contextlib import contextmanager

import anyio
import pytest

from jumpstarter_driver_opendal.lending import reason_first


@contextmanager
def breaking() -> Generator[str]:
    """End in a broken stream, whatever the body does."""
    try:
        yield "handle"
    finally:
        raise anyio.BrokenResourceError


def test_error_of_the_body_wins_with_its_cause() -> None:
    with pytest.raises(ValueError, match="handle") as caught, reason_first(breaking()) as handle:
        raise ValueError(handle) from KeyError()
    assert isinstance(caught.value.__cause__, KeyError)


def test_broken_stream_is_raised_where_the_body_succeeded() -> None:
    with pytest.raises(anyio.BrokenResourceError), reason_first(breaking()):
        pass


def test_other_errors_of_the_adapter_pass() -> None:
    @contextmanager
    def missing() -> Generator[None]:
        raise FileNotFoundError
        yield

    with pytest.raises(FileNotFoundError), reason_first(missing()):
        pass
