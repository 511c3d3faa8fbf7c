"""Fixtures of this package's tests."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Run async tests on asyncio, the one event loop that gRPC knows."""
    return "asyncio"
