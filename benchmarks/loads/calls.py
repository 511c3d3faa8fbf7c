"""Calls and streaming calls per second over `serve()`, with the blocking client."""

from collections.abc import Callable

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
    measures: dict[str, tuple[Callable[[DriverClient, str], float], str]] = {
        "calls_per_s": (calls, "echo"),
        "calls_async_per_s": (calls, "echo_async"),
        "stream_items_per_s": (items, "count"),
        "stream_items_async_per_s": (items, "count_async"),
    }
    with serve(Device()) as client:
        report({name: measure(client, method) for name, (measure, method) in measures.items()})


if __name__ == "__main__":
    main()
