"""Both ends of the forward that is measured: `serve` prints its port, `load PORT` the figures.

A connection begins with one letter: `u`pload (answered with the number of bytes), `d`ownload, or
`e`cho of one message.
"""

import json
import selectors
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

MIB = 1 << 20
AMOUNT = 512 * MIB
SECONDS = 2.0


@contextmanager
def service(kind: str = "serve") -> Generator[int]:
    """Run `serve`, or `udp`, in a process of its own and yield its port."""
    argv = [sys.executable, __file__, kind]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def print_figures(port: int) -> None:
    """Run `load` on `port` in a process of its own."""
    subprocess.run([sys.executable, __file__, "load", str(port)], check=True)


def serve() -> None:
    """Accept for ever; one thread per connection."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=answer, args=(connection,), daemon=True).start()


def answer(connection: socket.socket) -> None:
    """Do what the first letter asks for."""
    with connection:
        letter = connection.recv(1)
        if letter == b"u":
            connection.sendall(str(drain(connection)).encode())
        elif letter == b"d":
            amount = int(connection.recv(32))
            block = bytes(MIB)
            for _ in range(amount // MIB):
                connection.sendall(block)
        elif letter == b"e":
            connection.sendall(connection.recv(64))


def drain(connection: socket.socket) -> int:
    """Return how many bytes came until the end."""
    buffer = bytearray(MIB)
    total = 0
    while count := connection.recv_into(buffer):
        total += count
    return total


def upload(port: int, amount: int) -> None:
    """Send `amount` bytes and check that they were counted."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"u")
        block = bytes(MIB)
        for _ in range(amount // MIB):
            connection.sendall(block)
        connection.shutdown(socket.SHUT_WR)
        assert int(connection.recv(64)) == amount


def download(port: int, amount: int) -> None:
    """Receive `amount` bytes."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"d")
        connection.sendall(str(amount).encode())
        assert drain(connection) == amount


def connect(port: int) -> None:
    """Open a connection, exchange one message, close it."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"e")
        connection.sendall(b"ping")
        assert connection.recv(64) == b"ping"


def mb_per_s(action: Callable[[int, int], None], port: int, streams: int) -> float:
    """Return megabytes per second over `streams` connections together."""
    share = AMOUNT // streams // MIB * MIB
    start = time.perf_counter()
    with ThreadPoolExecutor(streams) as pool:
        for done in [pool.submit(action, port, share) for _ in range(streams)]:
            done.result()
    return share * streams / 1e6 / (time.perf_counter() - start)


def connections_per_s(port: int, at_once: int) -> float:
    """Return completed connections per second with `at_once` under way."""
    deadline = time.perf_counter() + SECONDS

    def work(_: int) -> int:
        count = 0
        while time.perf_counter() < deadline:
            connect(port)
            count += 1
        return count

    with ThreadPoolExecutor(at_once) as pool:
        return sum(pool.map(work, range(at_once))) / SECONDS


def load(port: int) -> None:
    """Print the figures as JSON."""
    upload(port, 16 * MIB)
    figures = {
        "up_mb_per_s": mb_per_s(upload, port, 1),
        "down_mb_per_s": mb_per_s(download, port, 1),
        "up_8_mb_per_s": mb_per_s(upload, port, 8),
        "down_8_mb_per_s": mb_per_s(download, port, 8),
        "connections_per_s": connections_per_s(port, 1),
        "connections_64_per_s": connections_per_s(port, 64),
    }
    sys.stdout.write(json.dumps({name: round(value, 2) for name, value in figures.items()}) + "\n")


def udp() -> None:
    """Answer datagrams with themselves; print the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 * MIB)
        sock.bind(("127.0.0.1", 0))
        sys.stdout.write(f"{sock.getsockname()[1]}\n")
        sys.stdout.flush()
        with selectors.DefaultSelector():
            while True:
                data, sender = sock.recvfrom(65536)
                sock.sendto(data, sender)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve"]:
            serve()
        case ["udp"]:
            udp()
        case ["load", port]:
            load(int(port))
        case _:
            sys.exit("peer.py: use serve, udp or load PORT")
