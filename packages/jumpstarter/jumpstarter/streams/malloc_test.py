"""The allocator keeps what was freed: seen in a process of its own, by its page faults."""

import subprocess
import sys

PROGRAM = """
import resource, sys
from jumpstarter.streams.malloc import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
def work():
    for _ in range(200):
        blocks = [bytes(b"x" * 65_000) for _ in range(64)]
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(word: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, word], check=True, capture_output=True, text=True
    )
    return int(done.stdout)


def test_memory_that_was_freed_is_used_again_without_page_faults():
    assert faults("keep") < faults("leave") / 10
