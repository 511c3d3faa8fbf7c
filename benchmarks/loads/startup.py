"""How long programs and imports take to start, as multiples of what cannot be avoided."""

import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from timing import report

RUNS = 7
GRPC = "import grpc.aio; from jumpstarter_protocol import jumpstarter_pb2_grpc, router_pb2_grpc"


def wall_ms(*argv: str) -> float:
    """Return the median milliseconds that a program takes, after one run that does not count."""
    times: list[float] = []
    for _ in range(RUNS + 1):
        start = time.perf_counter()
        subprocess.run(argv, check=True, capture_output=True)
        times.append((time.perf_counter() - start) * 1000)
    return median(times[1:])


def main() -> None:
    """Measure and print."""
    nothing = wall_ms(sys.executable, "-c", "pass")
    jmp_help = wall_ms(str(Path(sys.executable).with_name("jmp")), "--help")
    grpc = wall_ms(sys.executable, "-c", GRPC)
    client = wall_ms(sys.executable, "-c", "import jumpstarter.client")
    report(
        {
            "python_pass_ms": nothing,
            "jmp_help_ms": jmp_help,
            "jmp_help_over_python_x": jmp_help / nothing,
            "import_grpc_ms": grpc,
            "import_client_ms": client,
            "import_client_over_grpc_x": client / grpc,
        }
    )


if __name__ == "__main__":
    main()
