"""One transfer of each program, captured, and read by tshark's TFTP dissector.

In a clean transfer nothing is malformed, and nothing is sent twice.
"""

import os
import re
import shlex
import socket
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream

from jumpstarter_driver_tftp.conftest import AS_ROOT, PATIENCE, Find, run
from jumpstarter_driver_tftp.packet import Opcode
from jumpstarter_driver_tftp.programs_test import PACKAGES
from jumpstarter_driver_tftp.server import TftpServer

FIELDS = {
    "source": "udp.srcport",
    "target": "udp.dstport",
    "opcode": "tftp.opcode",
    "block": "tftp.block",
    "malformed": "_ws.malformed",
    "complaint": "_ws.expert.message",
    "text": "_ws.col.Info",
}
DISCARD = 9
LONGEST_LINE = 4096
MARK_SECONDS = 0.05
START_SECONDS = 60.0
"""How long tshark may take to start on a busy machine."""

TRACEROUTE = re.compile(r"Possible traceroute: hop #\d+, attempt #\d+")
"""What tshark says of a port from 33434 to 33534, whatever uses it."""

ATTEMPTS = 3
"""How often a transfer is tried: on a busy machine a side may wait in vain once, but not always."""


@dataclass(frozen=True)
class Captured:
    """What tshark says of one packet."""

    source: str
    target: str
    opcode: str
    block: str
    malformed: str
    complaint: str
    text: str


@dataclass
class Capture:
    """The packets of a transfer; complete once the capture has ended."""

    packets: list[Captured] = field(default_factory=list[Captured])

    def faults(self) -> list[Captured]:
        """Return the packets that are malformed, or that tshark complains of.

        Some ports that the system may give to anybody look to it like those of traceroute.
        """
        return [
            packet
            for packet in self.packets
            if packet.malformed or TRACEROUTE.sub("", packet.complaint).strip(",")
        ]

    def sent_twice(self) -> list[Captured]:
        """Return the packets that were sent before."""
        seen: Counter[Captured] = Counter(self.packets)
        return [packet for packet, count in seen.items() if count > 1]

    def opcodes(self) -> list[Opcode]:
        """Return what the packets are."""
        return [Opcode(int(packet.opcode)) for packet in self.packets]


@asynccontextmanager
async def capture(tshark: str, host: str, port: int, path: Path) -> AsyncGenerator[Capture]:
    """Capture all that comes from or goes to `host`; `path` keeps it for people.

    A capture tells neither when it sees everything nor when it has seen everything: a datagram of
    ours does, when it appears in it.
    """
    columns = [word for name in FIELDS.values() for word in ("-e", name)]
    command = [
        *AS_ROOT, tshark, "-n", "-l", "-P", "-i", "lo", "-f", f"udp and host {host}",
        "-w", str(path), "-d", f"udp.port=={port},tftp", "-T", "fields", *columns,
    ]  # fmt: skip
    captured = Capture()
    async with await anyio.open_process(command, stderr=None) as process:
        assert process.stdout is not None
        lines = BufferedByteReceiveStream(process.stdout)
        try:
            await _until_marked(lines, host, START_SECONDS)
            yield captured
            captured.packets = await _until_marked(lines, host, PATIENCE)
        finally:
            process.terminate()


async def _until_marked(
    lines: BufferedByteReceiveStream, host: str, seconds: float
) -> list[Captured]:
    """Send datagrams until one of them is captured, and return what was captured before it."""
    before: list[Captured] = []
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
        anyio.fail_after(seconds),
    ):
        sock.bind((host, 0))
        mark = str(sock.getsockname()[1])
        while True:
            sock.sendto(b"mark", (host, DISCARD))
            with anyio.move_on_after(MARK_SECONDS):
                while (packet := await _next(lines)).source != mark:
                    if packet.target != str(DISCARD):
                        before.append(packet)
                return before


async def _next(lines: BufferedByteReceiveStream) -> Captured:
    line = await lines.receive_until(b"\n", LONGEST_LINE)
    return Captured(*line.decode(errors="replace").split("\t"))


ATFTP = "atftp --option 'blksize {blksize}' --option 'windowsize {window}'"
TRANSFERS = {
    "atftp-get": "atftp --get -r image -l {local} {host} {port}",
    "atftp-get-window": f"{ATFTP} --get -r image -l {{local}} {{host}} {{port}}",
    "atftp-put-window": f"{ATFTP} --put -l {{local}} -r new {{host}} {{port}}",
    "busybox-get": "busybox tftp -b {blksize} -g -r image -l {local} {host} {port}",
    "busybox-put": "busybox tftp -b {blksize} -p -l {local} -r new {host} {port}",
    "curl-get": "curl -sS --tftp-blksize {blksize} -o {local} tftp://{host}:{port}/image",
    "curl-put": "curl -sS --tftp-blksize {blksize} -T {local} tftp://{host}:{port}/new",
    "tftp-get": "tftp -m binary {host} {port} -c get image {local}",
    "tftp-put": "tftp -m binary {host} {port} -c put {local} new",
    "tftp-get-text": "tftp -m ascii {host} {port} -c get image {local}",
}


@pytest.fixture
def tshark(program: Find) -> str:
    return program("tshark", "tshark")


@pytest.mark.parametrize("words", TRANSFERS.values(), ids=TRANSFERS.keys())
async def test_a_transfer_has_nothing_malformed_and_nothing_twice(
    program: Find, tshark: str, loopback: str, root: Path, tmp_path: Path, words: str
):
    content = os.urandom(50_000)
    (root / "image").write_bytes(content)
    local = tmp_path / "local"
    name, *arguments = shlex.split(words)
    command = [program(name, PACKAGES[name]), *arguments]
    captured = Capture()
    for _ in range(ATTEMPTS):
        (root / "new").unlink(missing_ok=True)
        local.write_bytes(content if "new" in words else b"")
        captured = await transfer(tshark, loopback, root, local, command)
        assert (root / "new" if "new" in words else local).read_bytes() == content
        assert captured.faults() == []
        if not captured.sent_twice():
            break
    assert captured.sent_twice() == []
    opcodes = captured.opcodes()
    assert opcodes[0] is (Opcode.WRQ if "new" in words else Opcode.RRQ)
    assert opcodes[-1] is Opcode.ACK
    assert Opcode.ERROR not in opcodes


async def transfer(tshark: str, host: str, root: Path, local: Path, command: list[str]) -> Capture:
    """Run a program once against a server of `root`, and return what was captured."""
    server = TftpServer(host, 0, root, writable=True)
    values = {"host": host, "local": str(local), "blksize": 1428, "window": 16}
    async with (
        server.running() as (_, port),
        capture(tshark, host, port, local.with_suffix(".pcapng")) as captured,
    ):
        code, said = await run(*(word.format(port=port, **values) for word in command))
    assert code == 0, said
    return captured


async def test_a_refusal_has_nothing_malformed(
    program: Find, tshark: str, loopback: str, root: Path, tmp_path: Path
):
    curl = program("curl", "curl")
    async with (
        TftpServer(loopback, 0, root).running() as (_, port),
        capture(tshark, loopback, port, tmp_path / "capture.pcapng") as captured,
    ):
        await run(curl, "-sS", f"tftp://{loopback}:{port}/missing")
    assert captured.opcodes() == [Opcode.RRQ, Opcode.ERROR]
    assert captured.packets[1].text == "Error Code, Code: File not found, Message: File not found"
    assert [packet for packet in captured.packets if packet.malformed] == []
