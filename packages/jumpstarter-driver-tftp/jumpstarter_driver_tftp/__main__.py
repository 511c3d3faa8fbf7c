"""`python -m jumpstarter_driver_tftp get|put tftp://HOST[:PORT]/NAME`: a TFTP client.

A file that is fetched appears under its name once it is complete. Progress is only shown on a
terminal; whatever goes wrong is one line, and exit code 1.
"""

import argparse
import os
import sys
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO

from jumpstarter_driver_tftp.errors import TftpError
from jumpstarter_driver_tftp.options import (
    MAX_TIMEOUT_SECONDS,
    MAX_WINDOW_BLOCKS,
    MIN_BLOCK_BYTES,
)
from jumpstarter_driver_tftp.packet import MAX_BLOCK_BYTES
from jumpstarter_driver_tftp.requester import Location, Wishes, get, parse_url, put

FAILED = 1
INTERRUPTED = 130

_SHOW_SECONDS = 0.1
_MIB = 1 << 20


def main(arguments: list[str] | None = None) -> int:
    """Run one transfer, and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        _run(options)
    except TftpError as error:
        return _fail(str(error))
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        return _fail(f"{name}{error.strerror or error}")
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _run(options: argparse.Namespace) -> None:
    location: Location = options.url
    wishes = Wishes(
        mode=options.mode,
        blksize=options.blksize,
        windowsize=options.windowsize,
        timeout=options.timeout,
        tsize=options.tsize,
    )
    path: str = options.file or Path(location.name).name
    if options.command == "get":
        _get(location, wishes, path)
    else:
        _put(location, wishes, path)


def _get(location: Location, wishes: Wishes, path: str) -> None:
    progress = Progress(location.name)
    with _output(path) as file, closing(get(location, wishes)) as pieces:
        for piece in pieces:
            file.write(piece.data)
            progress.show(len(piece.data), piece.total)
    progress.end()


def _put(location: Location, wishes: Wishes, path: str) -> None:
    progress = Progress(location.name)
    with _input(path) as file:
        # Translated text has another size, so only the server's count would be right.
        exact = path != "-" and wishes.mode == "octet"
        size = os.fstat(file.fileno()).st_size if exact else None
        before = 0
        for done in put(location, wishes, file, size):
            progress.show(done - before, size)
            before = done
    progress.end()


@contextmanager
def _input(path: str) -> Generator[BinaryIO]:
    if path == "-":
        yield sys.stdin.buffer
        return
    with open(path, "rb") as file:
        yield file


@contextmanager
def _output(path: str) -> Generator[BinaryIO]:
    """Open what is written to; a file gets its name at the end, and only then."""
    target = Path(path)
    if path == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    elif target.exists() and not target.is_file():
        with target.open("wb") as file:
            yield file
    else:
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            with part.open("xb") as file:
                yield file
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)


class Progress:
    """A line on a terminal that says how far a transfer is."""

    def __init__(self, name: str) -> None:
        """Begin to count now."""
        self._name = name
        self._began = time.monotonic()
        self._shown = self._began
        self._bytes = 0
        self._on = sys.stderr.isatty()

    def show(self, more: int, total: int | None) -> None:
        """Count bytes, and renew the line when it is time to."""
        self._bytes += more
        if self._on and time.monotonic() - self._shown >= _SHOW_SECONDS:
            self._shown = time.monotonic()
            of = f" of {total / _MIB:.1f}" if total is not None else ""
            sys.stderr.write(f"\r{self._name}: {self._bytes / _MIB:.1f}{of} MiB{self._speed()}  ")
            sys.stderr.flush()

    def end(self) -> None:
        """Leave the final count standing."""
        if self._on:
            sys.stderr.write(f"\r{self._name}: {self._bytes} bytes{self._speed()}          \n")

    def _speed(self) -> str:
        seconds = max(time.monotonic() - self._began, 0.001)
        return f", {self._bytes / seconds / 1e6:.1f} MB/s"


def _fail(text: str) -> int:
    sys.stderr.write(f"Error: {text}\n")
    return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m jumpstarter_driver_tftp", description="Fetch or send a file by TFTP."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, flag, text in (
        ("get", "--output", "where to write; - is standard output"),
        ("put", "--input", "what to send; - is standard input"),
    ):
        command = commands.add_parser(name)
        command.add_argument("url", type=_url, metavar="tftp://HOST[:PORT]/NAME")
        command.add_argument(
            flag[1:3], flag, dest="file", metavar="FILE", help=f"{text}; default: NAME here"
        )
        _add_options(command)
    return parser


def _add_options(command: argparse.ArgumentParser) -> None:
    for name, unit, low, high in (
        ("blksize", "bytes in a block", MIN_BLOCK_BYTES, MAX_BLOCK_BYTES),
        ("windowsize", "blocks before an answer", 1, MAX_WINDOW_BLOCKS),
        ("timeout", "seconds before a packet is sent again", 1, MAX_TIMEOUT_SECONDS),
    ):
        command.add_argument(
            f"--{name}",
            type=_Range(low, high),
            metavar="N",
            help=f"{unit}, {low} to {high}",
        )
    command.add_argument("--tsize", action="store_true", help="agree on the size of the file")
    command.add_argument("--mode", choices=("octet", "netascii"), default="octet")


class _Range:
    """An integer between two bounds, for argparse."""

    def __init__(self, low: int, high: int) -> None:
        self._low = low
        self._high = high

    def __call__(self, text: str) -> int:
        if not text.isdecimal() or not self._low <= int(text) <= self._high:
            raise argparse.ArgumentTypeError(f"{text!r} is not from {self._low} to {self._high}")
        return int(text)


def _url(text: str) -> Location:
    try:
        return parse_url(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


if __name__ == "__main__":
    sys.exit(main())
