"""Calls and streaming calls per second over `serve()`, with the blocking client."""

from device import Device
from jumpstarter.client import DriverClient
from jumpstarter.common.utils import serve
from timing import per_second, report

SECONDS = 2.0
ITEMS = 5_000


def calls(client: DriverClient, method: str) -> float:
    """Return unary calls per second."""
    return per_second(lambda: client.call(method, "x"), SECONDS)


def items(client: DriverClient, method: str) -> float:
    """Return items of a streaming call per second."""

    def stream() -> int:
        return sum(1 for _ in client.streamingcall(method, ITEMS))

    return per_second(stream, SECONDS)


def main() -> None:
    """Measure and print."""
    with serve(Device()) as client:
        report(
            {
                "calls_per_s": calls(client, "echo"),
                "calls_async_per_s": calls(client, "echo_async"),
                "stream_items_per_s": items(client, "count"),
                "stream_items_async_per_s": items(client, "count_async"),
            }
        )


if __name__ == "__main__":
    main()
