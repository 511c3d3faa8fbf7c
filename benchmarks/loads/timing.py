"""How the loads measure and what they print: one JSON object of figures."""

import json
import sys
import time
from collections.abc import Callable, Mapping


def per_second(action: Callable[[], object], seconds: float) -> float:
    """Return how often `action` runs per second; what it returns counts as that many, if a number.

    The first tenth of the time is a warm-up and does not count.
    """
    _run(action, seconds / 10)
    count, elapsed = _run(action, seconds)
    return count / elapsed


def report(figures: Mapping[str, float]) -> None:
    """Print `figures` as JSON on a line of its own."""
    sys.stdout.write(json.dumps({name: round(value, 2) for name, value in figures.items()}) + "\n")


def _run(action: Callable[[], object], seconds: float) -> tuple[int, float]:
    count = 0
    start = now = time.perf_counter()
    while now < start + seconds:
        done = action()
        count += done if isinstance(done, int) and not isinstance(done, bool) else 1
        now = time.perf_counter()
    return count, now - start
