"""A serial device: a pseudo-terminal, and a function that says what the device answers."""

import os
import select
import threading
import tty
from collections.abc import Callable, Generator
from contextlib import contextmanager

Answer = Callable[[bytes], bytes]
"""Takes what the device receives, returns what it sends back."""

CHUNK = 4096


@contextmanager
def serial_device(answer: Answer) -> Generator[str]:
    """Yield the path of a serial device that behaves as `answer` says, until the body ends."""
    here, there = os.openpty()
    stopped, stop = os.pipe()
    tty.setraw(there)

    def run() -> None:
        while stopped not in (ready := select.select([here, stopped], [], [])[0]):
            if here in ready:
                os.write(here, answer(os.read(here, CHUNK)))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        # The far end stays open here too, so that the device outlives each of its users.
        yield os.ttyname(there)
    finally:
        os.write(stop, b"\0")
        thread.join()
        for descriptor in (here, there, stopped, stop):
            os.close(descriptor)
