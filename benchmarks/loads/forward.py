"""A TCP port forward: bytes and new connections per second.

The service behind it and the client before it are one other process (`peer.py`), so that the
process under test does nothing but forward.
"""

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from jumpstarter.common.utils import serve
from jumpstarter_driver_network.adapters import TcpPortforwardAdapter
from jumpstarter_driver_network.driver import TcpNetwork

PEER = Path(__file__).with_name("peer.py")


@contextmanager
def peer_process(*args: str) -> Generator[subprocess.Popen[str]]:
    """Run `peer.py` and end it with the context."""
    argv = [sys.executable, str(PEER), *args]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def main() -> None:
    """Measure and print."""
    with peer_process("serve") as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        with (
            serve(TcpNetwork(host="127.0.0.1", port=port)) as client,
            TcpPortforwardAdapter(client=client) as address,
        ):
            subprocess.run([sys.executable, str(PEER), "load", str(address[1])], check=True)


if __name__ == "__main__":
    main()
