"""The controller starts, or says in one line why not; it stops without breaking calls."""

import json
import os
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import grpc
import pytest
import yaml
from anyio.abc import TaskStatus
from jumpstarter.config.tls import TLSConfigV1Alpha1
from jumpstarter.model.errors import ConfigurationError
from jumpstarter.model.status import ExporterStatus as Status
from jumpstarter.rpc.channels import aio_secure_channel, ssl_channel_credentials
from jumpstarter.rpc.servers import OPTIONS as SERVER_OPTIONS
from jumpstarter_protocol import admin_pb2, admin_pb2_grpc, client_pb2, jumpstarter_pb2

from . import data_directory
from .__main__ import main
from .certificates import FilePair, KeptPair
from .config import Config
from .errors import LabError
from .server import Controller, running_controller
from .services.conftest import NAMESPACE, PARENT, Site, metadata, refusal, running_site
from .services.dialing import Patience

SHIPPED_PING_MILLISECONDS = 20_000
CLEAR = (ConfigurationError, LabError, OSError)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(data=tmp_path / "data", namespace=NAMESPACE, grpc="127.0.0.1:0", grace=5.0)


async def refused_start(config: Config) -> str:
    with pytest.raises(CLEAR) as error:
        async with running_controller(config):
            pass
    text = str(error.value)
    assert "\n" not in text
    return text


async def test_all_survives_a_restart(config: Config) -> None:
    async with running_site(config) as site:
        ann = await site.new_client()
        board = await site.new_exporter()
        lease = await site.lease(ann)
        root, ca = site.root, site.controller.ca
        chain = site.controller.certificate.current()
    async with running_site(config) as site:
        assert (site.controller.ca, site.controller.certificate.current()) == (ca, chain)
        assert (await site.get(ann, lease)).exporter == f"{PARENT}/exporters/board"
        await site.report(board, Status.LEASE_READY)
        await site.admin.ListClients(admin_pb2.ListClientsRequest(parent=PARENT), metadata=root)


async def test_the_streams_of_leases_of_before_a_restart_are_cut_too(config: Config) -> None:
    async with running_site(config) as site:
        ann = await site.new_client()
        await site.new_exporter()
        lease = await site.lease(ann)
    async with running_site(config) as site, site.controller.routing.orders() as ended:
        await site.client.DeleteLease(client_pb2.DeleteLeaseRequest(name=lease.name), metadata=ann)
        assert lease.name.endswith((await ended.receive()).lease)


async def test_only_the_owner_reads_what_is_secret(config: Config) -> None:
    async with running_controller(config):
        modes = {path.name: path.stat().st_mode & 0o777 for path in config.data.iterdir()}

    assert config.data.stat().st_mode & 0o777 == 0o700
    for name in ("admin.yaml", "token-key.pem", "stream-key.pem", "ca-key.pem", "tls-key.pem"):
        assert modes[name] == 0o600
    assert modes["identities.json"] == 0o600


async def test_the_administrators_file_is_enough_to_call(config: Config) -> None:
    async with running_controller(config):
        told = yaml.safe_load((config.data / "admin.yaml").read_text())
        tls = TLSConfigV1Alpha1.model_validate(told["tls"])
        credentials = await ssl_channel_credentials(told["endpoint"], tls)
        async with aio_secure_channel(told["endpoint"], credentials) as channel:
            who = metadata(told["token"], "Admin", told["metadata"]["name"])
            await admin_pb2_grpc.AdminServiceStub(channel).ListClients(
                admin_pb2.ListClientsRequest(parent=PARENT), metadata=who
            )

    assert told["metadata"]["namespace"] == NAMESPACE


async def test_the_data_directory_is_used_once(config: Config) -> None:
    async with running_controller(config):
        text = await refused_start(config)

        assert "in use by another controller" in text
        assert str(os.getpid()) in text


async def test_the_port_is_used_once(config: Config, tmp_path: Path) -> None:
    async with running_controller(config) as first:
        other = replace(config, data=tmp_path / "other", grpc=first.address)

        assert "cannot listen" in await refused_start(other)
    # What did not start has left nothing behind that would keep it from starting.
    async with running_controller(other):
        pass


async def test_the_port_of_logins_is_used_once(config: Config, tmp_path: Path) -> None:
    async with running_controller(replace(config, login="127.0.0.1:0")) as first:
        text = await refused_start(replace(config, data=tmp_path / "b", login=first.login))

    assert "cannot listen" in text


@pytest.mark.parametrize("address", ["", "localhost", "localhost:", ":", "x:99999", "x:-1"])
async def test_an_address_that_is_none(config: Config, address: str) -> None:
    assert "host:port" in await refused_start(replace(config, grpc=address))


def damage(name: str, text: str) -> Callable[[Path], None]:
    def apply(data: Path) -> None:
        path = data / name
        path.write_text(text)
        path.chmod(0o600)

    return apply


def let_others_read(data: Path) -> None:
    (data / "identities.json").chmod(0o644)


def newer_schema(data: Path) -> None:
    with sqlite3.connect(data / "controller.db") as database:
        database.execute("UPDATE alembic_version SET version_num = 'of-the-future'")


@pytest.mark.parametrize(
    ("apply", "words"),
    [
        (damage("token-key.pem", "garbage"), "token-key.pem"),
        (damage("stream-key.pem", ""), "stream-key.pem"),
        (damage("ca.pem", "garbage"), "ca.pem"),
        (damage("identities.json", "{"), "identities.json"),
        (damage("identities.json", '{"format": 2}'), "newer release"),
        (damage("identities.json", '{"format": 1, "members": [{}]}'), "identities.json"),
        (damage("controller.db", "garbage" * 1000), "controller.db"),
        (newer_schema, "controller.db"),
        (let_others_read, "chmod 600"),
    ],
)
async def test_what_is_damaged_ends_the_start(
    config: Config, apply: Callable[[Path], Any], words: str
) -> None:
    async with running_controller(config):
        pass
    apply(config.data)

    assert words in await refused_start(config)


async def test_a_data_directory_that_is_a_file(config: Config, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for data in (tmp_path / "file", tmp_path / "file" / "below"):
        assert str(data) in await refused_start(replace(config, data=data))


async def test_a_trusted_key_that_is_none(config: Config, tmp_path: Path) -> None:
    text = await refused_start(replace(config, trusted_keys=(tmp_path / "none.pem",)))

    assert "none.pem" in text


@asynccontextmanager
async def http(controller: Controller) -> AsyncGenerator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(f"http://{controller.login}") as session:
        yield session


async def test_logins_are_told_where_the_controller_is(config: Config) -> None:
    named = replace(config, login="127.0.0.1:0", endpoint="lab.example.com:443")
    async with running_controller(named) as controller, http(controller) as session:
        async with session.get("/v1/auth/config") as answer:
            told = await answer.json()
        async with session.get("/readyz") as answer:
            assert answer.status == 200
        async with session.get("/metrics") as answer:
            assert "jumpstarter_exporters 0\n" in await answer.text()

    assert (told["grpcEndpoint"], told["namespace"]) == ("lab.example.com:443", NAMESPACE)


async def test_a_data_directory_that_is_gone_is_not_ready(config: Config) -> None:
    named = replace(config, login="127.0.0.1:0")
    async with running_controller(named) as controller, http(controller) as session:
        moved = config.data.rename(config.data.with_name("moved"))
        config.data.write_text("in the way")
        async with session.get("/readyz") as answer:
            assert answer.status == 503
        config.data.unlink()
        moved.rename(config.data)


async def test_health_needs_no_identity(config: Config) -> None:
    async with running_site(config) as site:
        assert await site.channel.unary_unary("/grpc.health.v1.Health/Check")(b"") == b"\x08\x01"


async def test_what_waits_ends_when_the_controller_stops(config: Config) -> None:
    """Otherwise stopping would take as long as the grace, and exporters would wait as long."""
    patient = replace(config, grace=60.0, patience=Patience(status=60, rest=60))
    answers: list[tuple[grpc.StatusCode, str]] = []

    async def note(call: Any) -> None:
        answers.append(await refusal(call))

    stop = anyio.Event()
    async with anyio.create_task_group() as server:
        controller: Controller = await server.start(run_until, stop, patient)
        credentials = grpc.ssl_channel_credentials(controller.ca.encode())
        async with aio_secure_channel(controller.address, credentials) as channel:
            site = Site(controller, channel)
            ann, board = await site.new_client(), await site.new_exporter()
            await site.new_router()
            lease = await site.lease(ann)
            await site.report(board, Status.BEFORE_LEASE_HOOK)
            status = site.lab.Status(jumpstarter_pb2.StatusRequest(), metadata=board)
            await status.read()
            async with site.listening(board, lease) as listen, anyio.create_task_group() as tasks:
                for call in (status.read(), listen.read(), site.dial(ann, lease)):
                    tasks.start_soon(note, call)
                await held(site, ann, lease)
                stop.set()

    assert [code for code, _ in answers] == 3 * [grpc.StatusCode.UNAVAILABLE]


async def run_until(
    stop: anyio.Event, config: Config, *, task_status: TaskStatus[Controller]
) -> None:
    with anyio.fail_after(30):
        async with running_controller(config) as controller:
            task_status.started(controller)
            await stop.wait()


async def held(site: Site, ann: Any, lease: client_pb2.Lease) -> None:
    """Wait until the Dial that was made before waits too: it shares our connection."""
    for _ in range(3):
        await site.get(ann, lease)


def test_the_pings_of_shipped_clients_are_as_many_as_the_server_takes() -> None:
    """At its own limits gRPC's server would end their idle streams after the third ping."""
    taken = dict(SERVER_OPTIONS)

    assert taken["grpc.http2.min_ping_interval_without_data_ms"] < SHIPPED_PING_MILLISECONDS
    assert taken["grpc.keepalive_permit_without_calls"] == 1


class Process:
    """A controller as a process of its own."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "jumpstarter_controller", *arguments]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stderr is not None
        self.process.stderr.close()

    def line(self) -> dict[str, str]:
        assert self.process.stderr is not None
        return json.loads(self.process.stderr.readline())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_serves_until_it_is_told_to_stop(tmp_path: Path, number: int) -> None:
    with Process("--data", str(tmp_path / "data"), "--grpc", "127.0.0.1:0") as controller:
        while "serves on" not in (told := controller.line())["message"]:
            pass
        port = int(told["message"].rpartition(":")[2])
        socket.create_connection(("127.0.0.1", port)).close()
        controller.process.send_signal(number)

        assert controller.process.wait(20) == 0


def test_a_process_that_cannot_start_says_why_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    command = [sys.executable, "-m", "jumpstarter_controller", "--data", str(tmp_path / "file")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "cannot use the data directory" in done.stderr


def test_a_disk_that_is_full_is_named_in_one_line(tmp_path: Path) -> None:
    controller = [sys.executable, "-m", "jumpstarter_controller", "--data", str(tmp_path / "data")]
    # No file of this shell, and of what it becomes, may grow.
    command = ["sh", "-c", 'ulimit -f 0; exec "$@"', "sh", *controller]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert f"cannot write in the data directory '{tmp_path / 'data'}'" in done.stderr


async def test_a_certificate_that_ran_out_ends_the_start(config: Config, tmp_path: Path) -> None:
    made = KeptPair(tmp_path, ("localhost",), lambda: datetime.now(UTC) - timedelta(days=400))
    made.current()
    files = FilePair(tmp_path / "tls.pem", tmp_path / "tls-key.pem")

    with pytest.raises(ConfigurationError, match="was good until"):
        async with running_controller(replace(config, certificate=files)):
            pass


def test_a_disk_that_is_full_is_not_ready(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    assert data_directory.write_problem(tmp_path) is None
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
        problem = data_directory.write_problem(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert problem
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--data", "x", "--tls-key", "x"],
        ["--data", "x", "--token-days", "0"],
        ["--data", "x", "--token-days", "x"],
        ["--data", "x", "--unknown"],
    ],
)
def test_a_wrong_command_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)

    assert end.value.code == 2
    assert "error: " in capsys.readouterr().err
