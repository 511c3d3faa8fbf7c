"""What works, and what is said, when the libraries of the extras are not installed."""

import subprocess
import sys

import pytest

# An entry of None makes Python raise ModuleNotFoundError, as if the library were not there.
WITHOUT = "import sys; sys.modules.update(dict.fromkeys(['fabric', 'websockets']))\n"


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT + program], capture_output=True, text=True, check=False
    )


def test_all_but_the_extras_can_be_imported() -> None:
    done = run(
        "from jumpstarter_driver_network.driver import TcpNetwork, WebsocketNetwork\n"
        "from jumpstarter_driver_network.client import DbusNetworkClient\n"
        "from jumpstarter_driver_network.adapters import TcpPortforwardAdapter, PexpectAdapter\n"
        "from jumpstarter_driver_network.adapters import FabricAdapter\n"
        "TcpNetwork(host='127.0.0.1', port=1)\n"
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("program", "library", "extra"),
    [
        ("from jumpstarter_driver_network.adapters import fabric", "fabric", "fabric"),
        (
            "import jumpstarter_driver_network.adapters as a; a.FabricAdapter(client=None)",
            "fabric",
            "fabric",
        ),
        (
            "from jumpstarter_driver_network.streams import WebsocketClientStream",
            "websockets",
            "websocket",
        ),
        (
            "import jumpstarter_driver_network.driver as d; d.WebsocketNetwork(url='ws://h')",
            "websockets",
            "websocket",
        ),
    ],
)
def test_use_names_the_extra(program: str, library: str, extra: str) -> None:
    done = run(program)
    assert done.returncode != 0
    last = done.stderr.splitlines()[-1]
    assert f"{library} is not installed" in last
    assert f"pip install 'jumpstarter-driver-network[{extra}]'" in last


def test_unknown_adapter_is_an_import_error() -> None:
    done = run("from jumpstarter_driver_network.adapters import NoSuchAdapter")
    assert done.stderr.splitlines()[-1].startswith("ImportError: cannot import name")
