"""`jmp run` for a controller, as a process: what it says, what it tells, and how it ends."""

import base64
import queue
import signal
import subprocess
import threading
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from jumpstarter.model.status import ExporterStatus
from jumpstarter_protocol import jumpstarter_pb2, jumpstarter_pb2_grpc

from jumpstarter_cli.actions.serving_test import certificate, ended, hooks
from jumpstarter_cli.conftest import JMP, LAMP, Desk

BEGUN = ["Register", "AVAILABLE"]
LEFT = ["OFFLINE", "Unregister"]
Context = grpc.ServicerContext


class Controller(jumpstarter_pb2_grpc.ControllerServiceServicer):
    """Notes what it hears, and has one lease at most."""

    def __init__(self) -> None:
        self.heard: queue.Queue[str] = queue.Queue()
        self.lease = ""
        self.token = "secret"
        self._changed = threading.Condition()

    def assign(self, lease: str) -> None:
        with self._changed:
            self.lease = lease
            self._changed.notify_all()

    def hears(self, *expected: str) -> None:
        assert [self.heard.get(timeout=20) for _ in expected] == list(expected)

    def Register(self, request: Any, context: Context) -> jumpstarter_pb2.RegisterResponse:  # noqa: N802, ARG002 - as its RPC
        given = dict(context.invocation_metadata() or ())
        if given.get("authorization") != f"Bearer {self.token}":
            context.abort(grpc.StatusCode.UNKNOWN, "token is expired")
        assert given["jumpstarter-kind"] == "Exporter"
        assert (given["jumpstarter-namespace"], given["jumpstarter-name"]) == ("lab", "desk")
        self.heard.put("Register")
        return jumpstarter_pb2.RegisterResponse(uuid="exporter")

    def Unregister(self, request: Any, context: Context) -> jumpstarter_pb2.UnregisterResponse:  # noqa: N802, ARG002 - as its RPC
        self.heard.put("Unregister")
        return jumpstarter_pb2.UnregisterResponse()

    def ReportStatus(self, request: Any, context: Context) -> jumpstarter_pb2.ReportStatusResponse:  # noqa: N802, ARG002 - as its RPC
        self.heard.put(str(ExporterStatus.from_proto(request.status)))
        return jumpstarter_pb2.ReportStatusResponse()

    def ReleaseLease(self, request: Any, context: Context) -> jumpstarter_pb2.ReleaseLeaseResponse:  # noqa: N802, ARG002 - as its RPC
        self.heard.put("ReleaseLease")
        self.assign("")
        return jumpstarter_pb2.ReleaseLeaseResponse()

    def Status(self, request: Any, context: Context) -> Iterator[jumpstarter_pb2.StatusResponse]:  # noqa: N802, ARG002 - as its RPC
        told: str | None = None
        while context.is_active():
            with self._changed:
                if self.lease == told:
                    # The end of the call wakes nobody.
                    self._changed.wait(timeout=0.5)
                lease = self.lease
            if lease != told:
                told = lease
                yield jumpstarter_pb2.StatusResponse(leased=bool(lease), lease_name=lease or None)

    def Listen(self, request: Any, context: Context) -> Iterator[jumpstarter_pb2.ListenResponse]:  # noqa: N802, ARG002 - as its RPC
        over = threading.Event()
        context.add_callback(over.set)
        over.wait()
        yield from ()


@dataclass
class Lab:
    """A controller at an address of its own, and an exporter's file that names it."""

    desk: Desk
    controller: Controller = field(default_factory=Controller)
    port: int = 0

    def __post_init__(self) -> None:
        self.chain, self.key = (path.read_bytes() for path in certificate(self.desk.folder))

    @contextmanager
    def answering(self) -> Generator[None]:
        """Serve the controller, at the same address each time."""
        server = grpc.server(ThreadPoolExecutor(20), options=[("grpc.so_reuseport", 0)])
        jumpstarter_pb2_grpc.add_ControllerServiceServicer_to_server(self.controller, server)
        credentials = grpc.ssl_server_credentials([(self.key, self.chain)])
        self.port = server.add_secure_port(f"127.0.0.1:{self.port}", credentials)
        server.start()
        try:
            yield
        finally:
            server.stop(None).wait()

    def file(self, text: str = LAMP, *, token: str | None = None) -> str:
        ca = base64.b64encode(self.chain).decode()
        who = f"endpoint: 127.0.0.1:{self.port}\ntoken: {token or self.controller.token}\n"
        return self.desk.file(f"{text.replace('null', 'lab')}{who}tls: {{ca: {ca}}}\n")

    @contextmanager
    def running(self, *options: str, text: str = LAMP) -> Generator[subprocess.Popen[str]]:
        argv = (*JMP, "run", "--exporter-config", self.file(text), *options)
        with self.desk.start(*argv) as process:
            assert process.stdout is not None
            assert (
                process.stdout.readline() == f"Registered with 127.0.0.1:{self.port} as lab/desk\n"
            )
            yield process


@pytest.fixture
def lab(desk: Desk) -> Generator[Lab]:
    lab = Lab(desk)
    with lab.answering():
        yield lab


def finished(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Return the exit code and the log of a process that ends by itself."""
    _, log = process.communicate(timeout=20)
    return process.returncode, log


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP])
def test_signal_stops_an_exporter_without_a_lease(lab: Lab, number: signal.Signals):
    with lab.running() as process:
        lab.controller.hears(*BEGUN)
        assert ended(process, number)[0] == 0
    lab.controller.hears(*LEFT)
    assert list(lab.desk.sockets.iterdir()) == []


def test_signal_ends_a_lease_with_its_hook(lab: Lab):
    lab.controller.assign("one")
    with lab.running(text=hooks()) as process:
        lab.controller.hears(*BEGUN, "BEFORE_LEASE_HOOK", "LEASE_READY")
        code, log = ended(process, signal.SIGTERM)
    assert code == 0
    assert log.index("begun") < log.index("ended")
    lab.controller.hears(*LEFT)


def test_hangup_waits_for_the_end_of_the_lease(lab: Lab):
    lab.controller.assign("one")
    with lab.running() as process:
        lab.controller.hears(*BEGUN, "LEASE_READY")
        process.send_signal(signal.SIGHUP)
        lab.controller.assign("")
        assert finished(process)[0] == 0
    lab.controller.hears("AVAILABLE", *LEFT)


@pytest.mark.parametrize("how", ["option", "file"])
def test_exporter_that_ends_with_its_lease(lab: Lab, how: str):
    text = LAMP + "exitOnLeaseEnd: true\n" if how == "file" else LAMP
    lab.controller.assign("one")
    with lab.running(*["--exit-on-lease-end"] * (how == "option"), text=text) as process:
        lab.controller.hears(*BEGUN, "LEASE_READY")
        lab.controller.assign("")
        assert finished(process)[0] == 0
    lab.controller.hears("AVAILABLE", *LEFT)


def test_hook_that_stops_the_exporter_is_its_exit_code(lab: Lab):
    lab.controller.assign("one")
    with lab.running(text=hooks(before="exit 3")) as process:
        code, log = finished(process)
    assert code == 1
    assert "beforeLease hook: Hook failed with exit code 3" in log
    lab.controller.hears(*BEGUN, "BEFORE_LEASE_HOOK", "BEFORE_LEASE_HOOK_FAILED", "ReleaseLease")
    lab.controller.hears("OFFLINE", "Unregister")


def test_controller_that_comes_back_finds_the_exporter_and_its_lease(desk: Desk):
    lab = Lab(desk)
    lab.controller.assign("one")
    with lab.answering():
        process_context = lab.running()
        process = process_context.__enter__()
        lab.controller.hears(*BEGUN, "LEASE_READY")
    with lab.answering():
        lab.controller.hears("Register", "LEASE_READY")
        assert ended(process, signal.SIGTERM)[0] == 0
        lab.controller.hears(*LEFT)
    process_context.__exit__(None, None, None)


def test_controller_that_refuses_the_token_is_one_line(lab: Lab):
    text = f"{LAMP}failureDetection: {{maxRapidFailures: 2}}\n"
    done = lab.desk.jmp("run", "--exporter-config", lab.file(text, token="old"))
    assert (done.code, done.out) == (1, "")
    *_, line = done.err.splitlines()
    assert line == (
        "Error: the controller refuses this exporter: token is expired; "
        "check endpoint, metadata and token in its file"
    )
    assert "old" not in done.err


def test_token_that_is_renewed_in_the_file_is_used(lab: Lab):
    argv = (*JMP, "run", "--exporter-config", lab.file(token="old"))
    with lab.desk.start(*argv) as process:
        assert process.stderr is not None
        while "token is expired" not in process.stderr.readline():
            pass
        lab.file()
        lab.controller.hears(*BEGUN)
        assert ended(process, signal.SIGTERM)[0] == 0


def test_driver_that_cannot_be_built_names_the_line(lab: Lab):
    text = LAMP.replace(".Lamp}", ".Lamp, config: {log_level: 5}}")
    done = lab.desk.jmp("run", "--exporter-config", lab.file(text))
    assert (done.code, done.out) == (1, "")
    assert "exporter.yaml:3: export.lamp.config.log_level must be a valid string" in done.err
    assert lab.controller.heard.empty()
