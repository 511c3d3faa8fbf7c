"""Datagrams per second through a UDP stream: each is answered, with 64 under way."""

import subprocess
import sys
import time
from pathlib import Path

from jumpstarter.client import DriverClient
from jumpstarter.common.utils import serve
from jumpstarter_driver_network.driver import UdpNetwork
from timing import report

DATAGRAMS = 20_000
UNDER_WAY = 64
SIZE = 512


async def exchange(client: DriverClient) -> float:
    """Return answered datagrams per second."""
    async with client.stream_async("connect") as stream:
        start = time.perf_counter()
        window = UNDER_WAY
        for _ in range(window):
            await stream.send(bytes(SIZE))
        for sent in range(window, DATAGRAMS + window):
            assert len(await stream.receive()) == SIZE
            if sent < DATAGRAMS:
                await stream.send(bytes(SIZE))
        return DATAGRAMS / (time.perf_counter() - start)


def main() -> None:
    """Measure and print."""
    argv = [sys.executable, str(Path(__file__).with_name("peer.py")), "udp"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as peer:
        try:
            assert peer.stdout is not None
            port = int(peer.stdout.readline())
            with serve(UdpNetwork(host="127.0.0.1", port=port)) as client:
                report({"datagrams_per_s": client.portal.call(exchange, client)})
        finally:
            peer.kill()


if __name__ == "__main__":
    main()
