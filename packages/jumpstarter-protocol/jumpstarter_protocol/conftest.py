"""Fixtures of the protocol package."""

import subprocess
import sys
import venv
from pathlib import Path

import pytest

PEERS = Path(__file__).resolve().parents[3] / "tools" / "peers.py"

# Away from the repository there are no sources to generate from.
collect_ignore = [] if PEERS.exists() else ["stubs_test.py"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def peer_interpreter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that imports the protocol package of release 0.9.0.

    The repository keeps such environments; away from it, one is made for this run.
    """
    if PEERS.exists():
        argv = [sys.executable, str(PEERS), "protocol"]
        done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True)
        return Path(done.stdout.strip())
    environment = tmp_path_factory.mktemp("peer")
    venv.create(environment)
    peer = environment / "bin" / "python"
    # Our own pip serves the new environment, because not every Python can give it one.
    pip = [sys.executable, "-m", "pip", "--python", str(peer)]
    subprocess.run([*pip, "install", "--quiet", "jumpstarter-protocol==0.9.0"], check=True)
    return peer
