"""What every test of the core shares."""

import subprocess
import sys
from pathlib import Path

import pytest

PEERS = Path(__file__).resolve().parents[3] / "tools" / "peers.py"


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Async tests run on asyncio: grpc.aio knows no other loop."""
    return "asyncio"


@pytest.fixture(scope="session")
def peer_interpreter() -> Path:
    argv = [sys.executable, str(PEERS), "full"]
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True)
    return Path(done.stdout.strip())
