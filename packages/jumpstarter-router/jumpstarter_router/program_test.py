"""The router as a process: how it starts, what it says, and how it stops."""

import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest
from google.protobuf.wrappers_pb2 import Int32Value, StringValue
from grpc import StatusCode
from jumpstarter.rpc.health import SERVING
from jumpstarter_protocol import admin_pb2

from jumpstarter_router.claims import Claims
from jumpstarter_router.conftest import (
    PATIENCE,
    TOKEN,
    Certificate,
    Controller,
    Lab,
    Signer,
    key_set,
    read,
    self_signed,
    serving,
    status,
)
from jumpstarter_router.health import WATCH
from jumpstarter_router.registration import KeyRing
from jumpstarter_router.router import Router


@dataclass
class Files:
    """What a router needs to start."""

    folder: Path
    certificate: Certificate

    def __post_init__(self) -> None:
        self.write("tls.pem", self.certificate.chain)
        self.write("key.pem", self.certificate.key)
        self.write("ca.pem", self.certificate.chain)
        self.write("token", TOKEN.encode() + b"\n")

    def write(self, name: str, content: bytes, mode: int = 0o600) -> Path:
        path = self.folder / name
        path.write_bytes(content)
        path.chmod(mode)
        return path

    def command(self, grpc: str, controller: str, *more: str) -> list[str]:
        words = [sys.executable, "-m", "jumpstarter_router", "--grpc", grpc]
        words += ["--controller", controller, "--controller-ca", str(self.folder / "ca.pem")]
        words += ["--token-file", str(self.folder / "token")]
        words += ["--tls-cert", str(self.folder / "tls.pem")]
        words += ["--tls-key", str(self.folder / "key.pem")]
        return [*words, *more]


@pytest.fixture
def files(tmp_path: Path, certificate: Certificate) -> Files:
    return Files(tmp_path, certificate)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@contextmanager
def process(command: list[str], log: Path) -> Generator["subprocess.Popen[bytes]"]:
    with log.open("wb") as file, subprocess.Popen(command, stderr=file) as running:
        try:
            yield running
        finally:
            running.kill()


async def test_it_registers_relays_and_drains(files: Files, signer: Signer):
    controller = Controller([admin_pb2.RouterOrders(jwks=key_set(signer))])
    log, address = files.folder / "log", f"127.0.0.1:{free_port()}"
    lab = Lab(Router(_nobody), KeyRing(), signer, files.certificate)
    async with serving(controller, files.certificate) as target:
        with process(files.command(address, target, "--label", "site=here"), log) as running:
            report = await controller.next_report()
            assert (report.endpoint, dict(report.labels)) == (address, {"site": "here"})
            lab.router.ports = (int(address.rpartition(":")[2]),)
            await _has_keys(lab)
            async with lab.pair() as (exporter, client):
                await client.write(b"through a process")
                assert await read(exporter) == b"through a process"
                running.send_signal(signal.SIGTERM)
                while not (await controller.next_report()).draining:
                    pass
                async with lab.call() as late:
                    assert (await status(late))[0] is StatusCode.UNAVAILABLE
                await client.write(b"still")
                assert await read(exporter) == b"still"
                await client.done_writing()
                await exporter.done_writing()
                assert (await status(client))[0] is StatusCode.OK
            assert await anyio.to_thread.run_sync(running.wait, PATIENCE) == 0
    text = log.read_text()
    assert "both sides of a stream have met" in text
    assert TOKEN.split(".")[1] not in text


async def test_a_second_signal_ends_the_grace(files: Files, signer: Signer):
    controller = Controller([admin_pb2.RouterOrders(jwks=key_set(signer))])
    log, address = files.folder / "log", f"127.0.0.1:{free_port()}"
    lab = Lab(Router(_nobody), KeyRing(), signer, files.certificate)
    lab.router.ports = (int(address.rpartition(":")[2]),)
    async with serving(controller, files.certificate) as target:
        with process(files.command(address, target), log) as running:
            await controller.next_report()
            await _has_keys(lab)
            async with lab.pair() as (exporter, _):
                running.send_signal(signal.SIGTERM)
                while not (await controller.next_report()).draining:
                    pass
                running.send_signal(signal.SIGINT)
                assert (await status(exporter))[0] in (
                    StatusCode.UNAVAILABLE,
                    StatusCode.CANCELLED,
                )
                assert await anyio.to_thread.run_sync(running.wait, PATIENCE) == 0


async def _has_keys(lab: Lab) -> None:
    """Wait until a router knows the keys, by which it serves."""
    async with lab.channel() as channel:
        watch = channel.unary_stream(WATCH, StringValue.SerializeToString, Int32Value.FromString)
        with anyio.fail_after(PATIENCE):
            async for answer in watch(StringValue()):
                if answer.value == SERVING:
                    return


def _nobody(token: str, now: float) -> Claims:
    raise AssertionError((token, now))


def run(command: list[str]) -> tuple[int, str]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    return done.returncode, done.stderr


BAD: dict[str, tuple[Callable[[Files], object], list[str], str]] = {
    "a token that others may read": (
        lambda files: files.write("token", TOKEN.encode(), 0o644),
        [],
        "others may read",
    ),
    "a token of a client": (
        lambda files: files.write("token", b"x.eyJzdWIiOiAiY2xpZW50OmE6YjpjIn0.y"),
        [],
        "not that of a router",
    ),
    "bytes for a token": (lambda files: files.write("token", b"\xff"), [], "holds no token"),
    "no token": (lambda files: (files.folder / "token").unlink(), [], "cannot read"),
    "no certificate": (lambda files: (files.folder / "tls.pem").unlink(), [], "cannot read"),
    "a key of another": (
        lambda files: files.write("key.pem", self_signed().key),
        [],
        "are not a certificate and its private key",
    ),
    "no authority": (lambda files: (files.folder / "ca.pem").unlink(), [], "cannot read"),
    "an address for nobody": (
        lambda _: None,
        ["--grpc", "0.0.0.0:8083"],
        "say where they can with --endpoint",
    ),
    "an address that is none": (lambda _: None, ["--endpoint", "http://x"], "not an address"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_at_the_start_is_one_line(files: Files, case: str):
    spoil, more, text = BAD[case]
    spoil(files)
    code, said = run(files.command(f"127.0.0.1:{free_port()}", "127.0.0.1:1", *more))
    assert code == 1
    assert said.startswith("jumpstarter-router: ")
    assert text in said
    assert said.count("\n") == 1


def test_a_port_in_use_is_one_line(files: Files):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, said = run(files.command(address, "127.0.0.1:1"))
    assert code == 1
    assert f"jumpstarter-router: cannot listen on {address}: is it in use" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("label", ["", "=x", "no-value"])
def test_a_label_that_is_none_is_refused(files: Files, label: str):
    command = files.command("127.0.0.1:1", "127.0.0.1:1", "--label", label)
    code, said = run(command)
    assert code == 2
    assert "is not KEY=VALUE" in said
