"""What every test of the core shares."""

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Async tests run on asyncio: grpc.aio knows no other loop."""
    return "asyncio"
