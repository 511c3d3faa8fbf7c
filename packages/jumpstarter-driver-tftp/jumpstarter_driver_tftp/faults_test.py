"""`j tftp doctor` watches real clients that do what devices do wrong: what it says, its code."""

import os
import socket
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jumpstarter.common.utils import serve

from jumpstarter_driver_tftp import driver as driver_module
from jumpstarter_driver_tftp.client import TftpServerClient
from jumpstarter_driver_tftp.conftest import PATIENCE
from jumpstarter_driver_tftp.doctor import Attempt, Rules
from jumpstarter_driver_tftp.driver import Tftp
from jumpstarter_driver_tftp.packet import Ack, Data, Error, Oack, Opcode, Packet, Request, parse
from jumpstarter_driver_tftp.reports import Report
from jumpstarter_driver_tftp.server import TftpServer

Scene = Callable[["Device"], None]


class Device:
    """A boot loader that does as it is told, with a socket that blocks."""

    def __init__(self, server: tuple[str, int], stop: Callable[[], None]) -> None:
        self.stop = stop
        self.seen: set[int] = set()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(PATIENCE)
        self.shown = f"127.0.0.1:{self.socket.getsockname()[1]}"
        self.server = server
        self.transfer = server

    def __enter__(self) -> "Device":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def ask(
        self,
        name: str,
        *options: tuple[str, str],
        opcode: Opcode = Opcode.RRQ,
        mode: str = "octet",
    ) -> Packet:
        request = Request(opcode, name, mode, options)
        self.socket.sendto(request.encode(), self.server)
        return self.receive()

    def receive(self) -> Packet:
        datagram, self.transfer = self.socket.recvfrom(65536)
        return parse(datagram)

    def send(self, packet: Ack | Error | Data) -> None:
        self.socket.sendto(packet.encode(), self.transfer)

    def fetch(self, packet: Packet, size: int = 512) -> None:
        if isinstance(packet, Oack):
            self.send(Ack(0))
            packet = self.receive()
        while isinstance(packet, Data):
            self.send(Ack(packet.block))
            if len(packet.data) < size:
                return
            packet = self.receive()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "pxelinux.cfg").mkdir(parents=True)
    (root / "pxelinux.cfg" / "Default").write_bytes(b"DEFAULT linux\n")
    (root / "boot.img").write_bytes(os.urandom(100_000))
    (tmp_path / "secret").write_bytes(b"outside")
    (root / "way-out").symlink_to(tmp_path / "secret")
    return root


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the server give silent clients up at once: seconds of waiting are not under test."""
    impatient = partial(TftpServer, timeout=0.3, retries=2)
    monkeypatch.setattr(driver_module, "TftpServer", impatient)


@pytest.fixture
def diagnose(
    root: Path, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str]]:
    """Return a function that lets a device act while the doctor watches: its code and its text."""
    del impatient

    def run(act: Scene, *options: str, **config: Any) -> tuple[int, str]:
        tftp = Tftp(root_dir=str(root), host="127.0.0.1", port=0, **config)
        with serve(tftp) as client, ThreadPoolExecutor(1) as power:
            assert isinstance(client, TftpServerClient)
            client.start()
            with Device((client.get_host(), client.get_port()), tftp.stop) as device:
                begin = client.attempt

                def switched_on(rules: Rules) -> tuple[Attempt, Generator[Report]]:
                    watched = begin(rules)
                    acting.append(power.submit(act, device))
                    return watched

                acting: list[Future[None]] = []
                monkeypatch.setattr(client, "attempt", switched_on)
                words = ["doctor", "--quiet", "0.6", *options]
                result = CliRunner().invoke(client.cli(), words, catch_exceptions=False)
                acting[0].result(PATIENCE)
                return result.exit_code, result.output.replace(device.shown, "DEVICE")

    return run


def never_answers(device: Device) -> None:
    device.ask("boot.img")


def never_answers_options(device: Device) -> None:
    device.ask("boot.img", ("blksize", "1468"), ("windowsize", "4"))


def falls_silent_before_large_blocks(device: Device) -> None:
    device.ask("boot.img", ("blksize", "1468"))
    device.send(Ack(0))


def falls_silent_before_fragments(device: Device) -> None:
    device.ask("boot.img", ("blksize", "4096"))
    device.send(Ack(0))


def falls_silent_after_block_1(device: Device) -> None:
    device.ask("boot.img")
    device.send(Ack(1))


def falls_silent_in_the_middle(device: Device) -> None:
    packet = device.ask("boot.img")
    for _ in range(20):
        assert isinstance(packet, Data)
        device.send(Ack(packet.block))
        packet = device.receive()


def refuses_options(device: Device) -> None:
    device.ask("boot.img", ("blksize", "1468"))
    device.send(Error(8, "bad option"))


def asks_for_the_size_first(device: Device) -> None:
    device.ask("boot.img", ("tsize", "0"))
    device.send(Error(0, "TFTP Aborted"))
    device.fetch(device.ask("boot.img", ("blksize", "1024")), 1024)


def has_no_room(device: Device) -> None:
    packet = device.ask("boot.img")
    assert isinstance(packet, Data)
    device.send(Ack(1))
    device.receive()
    device.send(Error(3, "Loading overwrites reserved memory"))


def begins_anew(device: Device) -> None:
    device.ask("boot.img")
    device.fetch(device.ask("pxelinux.cfg/Default"))


def closes_its_port(device: Device) -> None:
    device.ask("boot.img")
    device.send(Ack(1))
    device.socket.close()


def asks(name: str, opcode: Opcode = Opcode.RRQ, mode: str = "octet") -> Scene:
    def act(device: Device) -> None:
        device.ask(name, opcode=opcode, mode=mode)

    act.__name__ = f"asks for {name!r}"
    return act


def fetches(device: Device) -> None:
    device.fetch(device.ask("boot.img", ("blksize", "1468")), 1468)


def fetches_over_a_bad_link(device: Device) -> None:
    packet = device.ask("boot.img", ("blksize", "16384"))
    assert isinstance(packet, Oack)
    device.send(Ack(0))
    last = 0
    while last < 7:
        packet = device.receive()
        assert isinstance(packet, Data)
        # The first copy of a block is lost.
        if packet.block == last + 1 and packet.block not in device.seen:
            device.seen.add(packet.block)
            continue
        last = packet.block
        device.send(Ack(last))


def sends_no_tftp(device: Device) -> None:
    device.socket.sendto(b"GET / HTTP/1.0\r\n", device.server)
    device.receive()


def stays_off(device: Device) -> None:
    del device


def has_the_server_stopped(device: Device) -> None:
    device.stop()


def asks_too_often(device: Device) -> None:
    for _ in range(3):
        device.ask("missing")
    for _ in range(3):
        device.socket.sendto(b"\0\1missing\0octet\0", device.server)


def writes(device: Device) -> None:
    assert device.ask("core", opcode=Opcode.WRQ) == Ack(0)
    device.send(Data(1, b"core"))
    assert device.receive() == Ack(1)


SCENES = {
    never_answers: [
        "DEVICE asked for `boot.img`: no answer at all to block 1, sent 2 times",
        "set `single_port: true`",
        "Failed: 127.0.0.1 did not get the last file, `boot.img` (1 request, 0 served).",
    ],
    never_answers_options: [
        "DEVICE asked for `boot.img` (blksize 1468, windowsize 4): no answer at all to the options",
        "set `single_port: true`",
    ],
    falls_silent_before_large_blocks: [
        "`boot.img` (blksize 1468): asked for blksize 1468, then fell silent: MTU?",
        "has a smaller MTU",
    ],
    falls_silent_before_fragments: ["blksize 4096, then fell silent: MTU?", "travel in fragments"],
    falls_silent_after_block_1: ["ACKs stop at block 1", "a firewall or NAT between may drop them"],
    falls_silent_in_the_middle: [
        "fell silent after 20 blocks, 10.0 KiB of 97.7 KiB",
        "Was it reset or switched off",
    ],
    refuses_options: [
        'the device ended it before the first block: error 8 "bad option"',
        "does not take what was granted (blksize 1468)",
    ],
    has_no_room: [
        'the device ended it after 1 block, 512 bytes of 97.7 KiB: error 3 "Loading overwrites',
        "does not fit",
    ],
    closes_its_port: ["the client closed its port", "The device gave up, or was reset"],
}
MISSES = {
    asks("pxelinux.cfg/default"): [
        "There is `pxelinux.cfg/Default`; upper and lower case must agree."
    ],
    asks("boot.imh"): ["There is `boot.img`. Was that meant?"],
    asks("/u/zImage"): ["There is no such file; `j tftp put FILE --as u/zImage`"],
    asks("pxelinux.cfg"): ["Not a file", "It is a directory", "There is `pxelinux.cfg/Default`"],
    asks("../secret"): ['error 2 "Access violation"', "`..` is not followed"],
    asks("way-out"): ["a symbolic link that leads out"],
    asks("core", Opcode.WRQ): ["wanted to write `core`: refused", "`writable: true`"],
    asks("boot.img", mode="mail"): ["(mail): refused, error 4", "not `mail`"],
    asks("\x1b[2Jboot"): ["asked for `\\x1b[2Jboot`", "--as NAME"],
}
GOOD = {
    fetches: ["got it, 97.7 KiB in", "Good: 127.0.0.1 got the last file, `boot.img`"],
    asks_for_the_size_first: ["It only wanted to know the size", "(2 requests, 1 served)"],
    begins_anew: [
        "Another request from the same port took its place",
        "Good: 127.0.0.1 got the last file, `pxelinux.cfg/Default` (2 requests, 1 served).",
    ],
    fetches_over_a_bad_link: ["7 packets had to be sent again (50 %): the link loses packets"],
}


@pytest.mark.parametrize(
    ("act", "code", "expected"),
    [
        *((act, 1, expected) for act, expected in (SCENES | MISSES).items()),
        *((act, 0, expected) for act, expected in GOOD.items()),
    ],
    ids=[getattr(act, "__name__", "") for act in (*SCENES, *MISSES, *GOOD)],
)
def test_doctor_says_what_happened(
    diagnose: Callable[..., tuple[int, str]], act: Scene, code: int, expected: list[str]
):
    found, text = diagnose(act)
    position = 0
    for words in expected:
        assert words in text[position:], text
        position = text.index(words, position)
    assert found == code, text
    assert "\x1b" not in text


def test_what_is_no_tftp_ends_nothing_and_is_told(diagnose: Callable[..., tuple[int, str]]):
    code, text = diagnose(sends_no_tftp, "--wait", "0.5")
    assert "DEVICE sent what is no request: refused, error 4" in text
    assert "Something that does not speak TFTP uses this port" in text
    assert "Failed: no request came.\nWhat came is no TFTP: 1 datagram.\n" in text
    assert code == 1


def test_no_request_at_all(diagnose: Callable[..., tuple[int, str]]):
    code, text = diagnose(stays_off, "--wait", "0.1")
    assert text.startswith("Files are served at tftp://127.0.0.1:")
    assert "Failed: no request came.\n127.0.0.1 is reached from this machine only" in text
    for words in (
        "next-server (option 66)",
        "Are cable, switch and VLAN right?",
        "tcpdump -ni any",
    ):
        assert words in text
    assert code == 1


def test_only_the_named_device_counts(diagnose: Callable[..., tuple[int, str]]):
    code, text = diagnose(fetches, "--client", "192.0.2.9", "--wait", "0.5")
    assert "Failed: no request came from 192.0.2.9." in text
    assert "Others asked: 127.0.0.1. Is one of them the device?" in text
    assert code == 1


def test_single_port_is_not_advised_where_it_is_set(diagnose: Callable[..., tuple[int, str]]):
    code, text = diagnose(never_answers, single_port=True)
    assert "no answer at all to block 1" in text
    assert "Does a firewall between drop our answers" in text
    assert "single_port" not in text
    assert code == 1


def test_written_file_is_good(diagnose: Callable[..., tuple[int, str]], root: Path):
    code, text = diagnose(writes, writable=True)
    assert "DEVICE wanted to write `core`: wrote it, 4 bytes in" in text
    assert code == 0
    assert not (root / "core").exists(), "removed at the end of the session"


def test_file_that_exists_is_not_written(diagnose: Callable[..., tuple[int, str]]):
    code, text = diagnose(asks("boot.img", Opcode.WRQ), writable=True)
    assert "`overwrite: true`" in text
    assert code == 1


def test_device_that_asks_too_often(diagnose: Callable[..., tuple[int, str]]):
    code, text = diagnose(asks_too_often, max_requests_per_second=0.1, max_request_burst=3)
    assert text.count("DEVICE asked for `missing`: refused, error 1") == 3
    assert text.count('DEVICE asked for `missing`: refused, error 0 "Too many requests"') == 1
    assert "`max_requests_per_second`" in text
    assert code == 1


def test_server_is_started_when_it_does_not_run(root: Path):
    tftp = Tftp(root_dir=str(root), host="127.0.0.1", port=0)
    with serve(tftp) as client:
        assert isinstance(client, TftpServerClient)
        result = CliRunner().invoke(client.cli(), ["doctor", "--wait", "0"])
        assert result.output.startswith("The server was not running and has been started.\n")
        assert result.exit_code == 1
        assert client.server_status().running


def test_server_that_is_stopped_meanwhile_ends_the_attempt(
    diagnose: Callable[..., tuple[int, str]],
):
    code, text = diagnose(has_the_server_stopped)
    assert "The server was stopped meanwhile." in text
    assert code == 1


def test_address_must_be_one(root: Path):
    with serve(Tftp(root_dir=str(root), host="127.0.0.1", port=0)) as client:
        assert isinstance(client, TftpServerClient)
        result = CliRunner().invoke(client.cli(), ["doctor", "--client", "board"])
        assert result.exit_code == 2
        assert "'board' is no IP address" in result.output
