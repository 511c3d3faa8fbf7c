"""Datagrams per second through a UDP stream: each is answered, with 64 under way."""

import time

from jumpstarter.client import DriverClient
from jumpstarter.common.utils import serve
from jumpstarter_driver_network.driver import UdpNetwork
from peer import service
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
    with (
        service("udp") as port,
        serve(UdpNetwork(host="127.0.0.1", port=port)) as client,
    ):
        report({"datagrams_per_s": client.portal.call(exchange, client)})


if __name__ == "__main__":
    main()
