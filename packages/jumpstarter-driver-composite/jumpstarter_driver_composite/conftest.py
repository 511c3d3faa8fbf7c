"""What the tests of this package share."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
