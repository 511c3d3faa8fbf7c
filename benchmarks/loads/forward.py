"""A TCP port forward: bytes and new connections per second.

The service behind it and the client before it are other processes (`peer.py`), so that the process
under test does nothing but forward.
"""

from jumpstarter.common.utils import serve
from jumpstarter_driver_network.adapters import TcpPortforwardAdapter
from jumpstarter_driver_network.driver import TcpNetwork
from peer import print_figures, service


def main() -> None:
    """Measure and print."""
    with (
        service() as port,
        serve(TcpNetwork(host="127.0.0.1", port=port)) as client,
        TcpPortforwardAdapter(client=client) as address,
    ):
        print_figures(address[1])


if __name__ == "__main__":
    main()
