"""Gives what faces a network all that nobody would send it: `make fuzz SECONDS=60`.

First come the inputs of `corpus/`, then, until the time is over, new ones that Hypothesis makes,
from nothing or from those. An input that shows a fault is made as small as possible and added to
the corpus, where the test suite will find it until the fault is mended.
"""

import ast
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import tftp_machines
import tftp_parsers
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

Target = Callable[[bytes], None]

CORPUS = Path(__file__).parent / "corpus"
TARGETS: dict[str, Target] = {
    "tftp_packet": tftp_parsers.packet,
    "tftp_options": tftp_parsers.options,
    "tftp_netascii": tftp_parsers.netascii,
    "tftp_names": tftp_parsers.names,
    "tftp_request": tftp_parsers.request,
    "tftp_sender": tftp_machines.sender,
    "tftp_receiver": tftp_machines.receiver,
}
BATCH = 200
"""How many inputs are made between two looks at the clock."""

MAX_BYTES = 200


class FaultError(Exception):
    """An input has shown a fault.

    Attributes:
        data: the input, as small as it could be made.
    """

    def __init__(self, data: bytes) -> None:
        """Keep the input."""
        super().__init__(repr(data))
        self.data = data


def corpus(name: str) -> list[bytes]:
    """Return the inputs that are kept for a target: one bytes literal per line."""
    lines = (CORPUS / f"{name}.txt").read_text(encoding="ascii").splitlines()
    return [ast.literal_eval(line) for line in lines if line and not line.startswith("#")]


def keep(name: str, data: bytes) -> None:
    """Add an input to the corpus."""
    with (CORPUS / f"{name}.txt").open("a", encoding="ascii") as file:
        file.write(f"{data!r}\n")


def mutations(seeds: list[bytes]) -> st.SearchStrategy[bytes]:
    """Return inputs from nothing, and from seeds that are cut, joined and filled in."""
    anything = st.binary(max_size=MAX_BYTES)
    seed = st.sampled_from(seeds)
    cut = st.integers(0, MAX_BYTES)

    def splice(head: bytes, begin: int, middle: bytes, end: int, tail: bytes) -> bytes:
        return head[:begin] + middle + tail[end:]

    middle = st.one_of(st.binary(max_size=4), st.binary(max_size=40), seed)
    return st.one_of(anything, seed, st.builds(splice, seed, cut, middle, cut, seed))


def replay(name: str) -> int:
    """Run a target on its corpus, and return how many inputs that has.

    Raises:
        FaultError: one shows a fault.
    """
    kept = corpus(name)
    for data in kept:
        _try(TARGETS[name], data)
    return len(kept)


def explore(name: str, seconds: float) -> int:
    """Run a target on new inputs for some time, and return how many there were.

    Raises:
        FaultError: one shows a fault; it is in the corpus now.
    """
    count = 0

    @settings(
        max_examples=BATCH,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        report_multiple_bugs=False,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(mutations(corpus(name)))
    def batch(data: bytes) -> None:
        nonlocal count
        count += 1
        _try(TARGETS[name], data)

    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            batch()
        except FaultError as fault:
            keep(name, fault.data)
            raise
    return count


def _try(target: Target, data: bytes) -> None:
    try:
        target(data)
    except Exception as error:
        raise FaultError(data) from error


def main() -> int:
    """Run all targets for the time given, and return the exit code."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    for name in TARGETS:
        try:
            kept = replay(name)
            made = explore(name, seconds / len(TARGETS))
        except FaultError as fault:
            traceback.print_exception(fault)
            print(f"{name}: {fault.data!r} shows a fault; it is in {CORPUS}", file=sys.stderr)
            return 1
        print(f"{name:13} {kept:3} kept {made:8} made: no fault")
    return 0


if __name__ == "__main__":
    sys.exit(main())
