"""A real bus behind the exporter, listed with busctl through the adapter."""

import os
import subprocess
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from jumpstarter.common.utils import serve

from jumpstarter_driver_network.adapters import DbusAdapter
from jumpstarter_driver_network.buses import ENVIRONMENT, BusKind
from jumpstarter_driver_network.client import DbusNetworkClient
from jumpstarter_driver_network.driver import DbusNetwork

Program = Callable[[str, str], str]

CONFIGURATION = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>{kind}</type>
  <listen>{address}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""


@contextmanager
def bus(kind: BusKind, address: str, directory: Path, daemon: str) -> Generator[str]:
    """Run a bus until the end of the context, and yield the address that it listens on."""
    configuration = directory / f"{kind}.conf"
    configuration.write_text(CONFIGURATION.format(kind=kind, address=address))
    command = [daemon, "--nofork", "--nopidfile", "--print-address", "--config-file"]
    with subprocess.Popen(
        [*command, str(configuration)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            # Written after the daemon has bound its socket.
            listening = process.stdout.readline().strip()
            assert listening, "dbus-daemon has ended"
            yield listening
        finally:
            process.terminate()


def list_names(kind: BusKind, busctl: str) -> str:
    option = "--system" if kind == "system" else "--user"
    done = subprocess.run(
        [busctl, option, "--no-pager", "list"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("kind", ["system", "session"])
def test_names_are_listed_through_the_adapter(
    kind: BusKind, tmp_path: Path, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = program("dbus-daemon", "dbus-daemon")
    busctl = program("busctl", "systemd")
    variable = ENVIRONMENT[kind]
    with bus(kind, f"unix:path={tmp_path}/bus", tmp_path, daemon) as address:
        monkeypatch.setenv(variable, address)
        driver = DbusNetwork(kind=kind)
        # What is listed below cannot have come over a shorter way.
        monkeypatch.setenv(variable, "unix:path=/nowhere")
        with serve(driver) as client:
            assert isinstance(client, DbusNetworkClient)
            assert client.kind == kind
            with DbusAdapter(client=client):
                assert os.environ[variable].startswith("tcp:host=127.0.0.1,port=")
                assert "org.freedesktop.DBus" in list_names(kind, busctl)
            assert os.environ[variable] == "unix:path=/nowhere"


def test_bus_on_a_tcp_port_is_reached(
    tmp_path: Path, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = program("dbus-daemon", "dbus-daemon")
    with bus("session", "tcp:host=127.0.0.1,port=0", tmp_path, daemon) as address:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
        with serve(DbusNetwork(kind="session")) as client, client.stream() as stream:
            # D-Bus Specification, "Authentication Protocol": the server lists its mechanisms.
            stream.send(b"\0AUTH\r\n")
            assert stream.receive() == b"REJECTED EXTERNAL\r\n"


def test_client_is_a_context_like_the_adapter(
    tmp_path: Path, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = program("dbus-daemon", "dbus-daemon")
    busctl = program("busctl", "systemd")
    with bus("session", f"unix:path={tmp_path}/bus", tmp_path, daemon) as address:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
        driver = DbusNetwork(kind="session")
        monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS")
        with serve(driver) as client:
            assert isinstance(client, DbusNetworkClient)
            with client:
                assert "org.freedesktop.DBus" in list_names("session", busctl)
            assert "DBUS_SESSION_BUS_ADDRESS" not in os.environ


@pytest.mark.parametrize("kind", ["system", "session"])
def test_variable_is_restored_after_an_error(
    kind: BusKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENVIRONMENT[kind], "unix:path=/before")
    with serve(DbusNetwork(kind=kind)) as client:
        with pytest.raises(ZeroDivisionError), DbusAdapter(client=client):
            raise ZeroDivisionError
        assert os.environ[ENVIRONMENT[kind]] == "unix:path=/before"
