"""This machine's address, asked of the real resolver, and minikube's, asked of a real program."""

import ipaddress
import logging
import socket
from pathlib import Path

import pytest

from jumpstarter.driver.ipaddr import get_ip_address, get_minikube_ip


def _no_such_name(*_args: object) -> str:
    raise socket.gaierror(socket.EAI_NONAME, "no such name")


def _program(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_address_is_an_ipv4_address_and_not_loopback():
    address = ipaddress.ip_address(get_ip_address())
    assert address.version == 4
    assert not address.is_loopback


def test_host_name_decides(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "192.0.2.7")
    assert get_ip_address() == "192.0.2.7"


def test_loopback_name_falls_back_to_the_route(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "127.0.1.1")
    address = get_ip_address()
    assert not ipaddress.ip_address(address).is_loopback
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # Only an address of this machine can be bound, and 0.0.0.0, which stands for all.
        probe.bind((address, 0))


def test_without_name_and_route_it_warns(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(socket, "gethostbyname", _no_such_name)
    # Connecting a UDP socket to a broadcast address is refused.
    monkeypatch.setattr("jumpstarter.driver.ipaddr._FAR_AWAY", ("255.255.255.255", 53))
    address = get_ip_address(logging.getLogger("driver.Test"))
    assert ipaddress.ip_address(address).is_unspecified
    assert [record.name for record in caplog.records] == ["driver.Test"]


async def test_minikube_address(tmp_path: Path):
    minikube = _program(tmp_path / "minikube", 'echo "$*" > "$0.args"; echo 192.0.2.9')
    assert await get_minikube_ip(minikube=minikube) == "192.0.2.9"
    assert (tmp_path / "minikube.args").read_text() == "ip\n"
    await get_minikube_ip("lab", minikube)
    assert (tmp_path / "minikube.args").read_text() == "ip --profile lab\n"


async def test_failing_minikube_is_quoted(tmp_path: Path):
    minikube = _program(tmp_path / "minikube", "echo not running >&2; exit 85")
    with pytest.raises(RuntimeError, match="exit code 85: not running"):
        await get_minikube_ip(minikube=minikube)


async def test_missing_minikube(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        await get_minikube_ip(minikube=str(tmp_path / "minikube"))
