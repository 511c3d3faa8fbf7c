"""tasmota: a plug that a real MQTT broker connects with its driver."""

import subprocess
import threading
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from .conftest import Clients, FreePort, Offers, Program, Served

COMMAND = "cmnd/plug/POWER"
STATE = "stat/plug/POWER"

# The type checker does not have this library in its environment.
mqtt: Any = import_module("paho.mqtt.client")


@pytest.fixture
def port(tmp_path: Path, free_port: FreePort, program: Program) -> Iterator[int]:
    """The port of a broker that runs."""
    port = free_port()
    settings = tmp_path / "mosquitto.conf"
    settings.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    command = [program("mosquitto"), "-v", "-c", settings]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as broker:
        assert broker.stderr is not None
        assert any(" running" in line for line in broker.stderr)
        yield port
        broker.terminate()


class Plug:
    """Does as it is told, and says so; keeps what it was told."""

    def __init__(self, port: int) -> None:
        self.orders: list[str] = []
        self.ready = threading.Event()
        self._client: Any = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        self._client.on_connect = self._connected
        self._client.on_subscribe = self._subscribed
        self._client.on_message = self._obey
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def _connected(self, *_: object) -> None:
        self._client.subscribe(COMMAND)

    def _subscribed(self, *_: object) -> None:
        self.ready.set()

    def _obey(self, _client: object, _data: object, message: Any) -> None:
        self.orders.append(message.payload.decode())
        self._client.publish(STATE, message.payload)

    def unplug(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def plug(port: int) -> Iterator[Plug]:
    plug = Plug(port)
    assert plug.ready.wait(10)
    yield plug
    plug.unplug()


def entry(port: int) -> str:
    return f"""
type: jumpstarter_driver_tasmota.driver.TasmotaPower
config: {{host: 127.0.0.1, port: {port}, tls: false, cmnd_topic: {COMMAND}, stat_topic: {STATE},
  timeout: 10}}
"""


def test_import(offers: Offers):
    assert offers("jumpstarter-driver-tasmota") == {"TasmotaPower"}


@pytest.mark.usefixtures("plug")
def test_build_at_a_broker(clients: Clients, port: int):
    assert clients(entry(port)) == {"": "jumpstarter_driver_power.client.PowerClient"}


def test_call_switches_the_plug(plug: Plug, served: Served, port: int):
    client = served(entry(port))
    client.on()
    assert plug.orders[-1] == "ON"
    client.off()
    assert plug.orders[-1] == "OFF"
