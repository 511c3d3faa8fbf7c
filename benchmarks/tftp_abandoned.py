"""What 1,000 abandoned requests do to a TFTP server.

As many boards, each with an address of its own, ask for a file and never answer; each has got its
first packet before the next fifty ask. Right after, another client asks, and what counts is the
time until it is answered. Then the server may go on until its last try, and what it holds still is
counted.
"""

import resource
import select
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from tftp_servers import Server

REQUESTS = 1_000
AT_ONCE = 50
GOOD_CLIENT = "127.0.0.2"
ANSWER_SECONDS = 1.0
"""How long a fifty may wait for answers, and the good client before it asks again."""
TRIES = 4
OPCODE_ERROR = 5


@dataclass(frozen=True)
class Aftermath:
    """What the requests did.

    Attributes:
        answered: how many of them got an answer.
        next_answer_ms: how long the good client waited, or None for no answer but an error.
        error: what the error said.
        held: files and sockets that the server held more than before, right after.
        left: how many of them were left at the end.
        clean_seconds: how long after the last request none was left, or None.
    """

    answered: int
    next_answer_ms: float | None
    error: str
    held: int
    left: int
    clean_seconds: float | None


def abandon(server: Server, name: str, patience: float) -> Aftermath:
    """Send the requests, and wait for at most `patience` seconds for the server to forget them."""
    _allow_sockets(2 * REQUESTS)
    request = b"\0\1" + name.encode() + b"\0octet\0"
    before = server.open_files()
    with ExitStack() as stack:
        sockets = [stack.enter_context(_socket(_board(i))) for i in range(REQUESTS)]
        answered = _ask_all(sockets, server, request)
        end = time.perf_counter()
        waited, error = _ask_well(server, request)
        held = left = server.open_files() - before
        while left > 0 and time.perf_counter() < end + patience:
            with suppress(subprocess.TimeoutExpired):  # nobody tells when a server forgets
                server.process.wait(0.05)
            left = server.open_files() - before
        clean = None if left > 0 else time.perf_counter() - end
    return Aftermath(answered, waited, error, held, max(left, 0), clean)


def _ask_all(sockets: Sequence[socket.socket], server: Server, request: bytes) -> int:
    answered = 0
    silent = False
    for first in range(0, REQUESTS, AT_ONCE):
        some = sockets[first : first + AT_ONCE]
        for sock in some:
            sock.sendto(request, server.address.pair)
        if not silent:
            count = _count_answered(some)
            answered += count
            silent = not count
    return answered


def _count_answered(sockets: Sequence[socket.socket]) -> int:
    end = time.perf_counter() + ANSWER_SECONDS
    poll = select.poll()
    waiting = {sock.fileno() for sock in sockets}
    for fileno in waiting:
        poll.register(fileno, select.POLLIN)
    while waiting and (left := end - time.perf_counter()) > 0:
        for fileno, _ in poll.poll(left * 1000):
            poll.unregister(fileno)
            waiting.discard(fileno)
    return len(sockets) - len(waiting)


def _ask_well(server: Server, request: bytes) -> tuple[float | None, str]:
    """Return the milliseconds until an answer, and what it says if it is an error."""
    with _socket(GOOD_CLIENT) as sock:
        sock.settimeout(ANSWER_SECONDS)
        begin = time.perf_counter()
        for _ in range(TRIES):
            sock.sendto(request, server.address.pair)
            with suppress(TimeoutError):
                answer, peer = sock.recvfrom(2048)
                waited = (time.perf_counter() - begin) * 1000
                if answer[1] == OPCODE_ERROR:
                    return None, answer[4:].rstrip(b"\0").decode(errors="replace")
                sock.sendto(b"\0\5\0\0enough\0", peer)
                return waited, ""
    return None, f"no answer within {TRIES * ANSWER_SECONDS:.0f} s"


def _board(index: int) -> str:
    return f"127.1.{index // 250}.{index % 250 + 1}"


def _socket(host: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((host, 0))
    return sock


def _allow_sockets(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))
