"""What `import jumpstarter.client` loads, and what it must not: it is paid for at every start."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import jumpstarter.client

HEAVY = {
    "aiohttp",
    "backports.zstd",
    "click",
    "compression.zstd",
    "google.api",
    "importlib.metadata",
    "lzma",
    "pydantic",
    "pydantic_core",
    "rich",
    "tenacity",
    "uvloop",
    "yaml",
    "yarl",
}


def loaded_by(program: str) -> set[str]:
    """Return the modules that an interpreter has after `program`."""
    argv = [sys.executable, "-c", f"{program}\nimport sys\nprint(*sys.modules)"]
    done = subprocess.run(argv, capture_output=True, check=True, text=True, timeout=30)
    return set(done.stdout.split())


def test_driver_client_loads_grpc_and_nothing_slow():
    loaded = loaded_by("from jumpstarter.client import DriverClient")
    assert loaded & HEAVY == set()
    assert loaded >= {"anyio", "grpc.aio"}


@pytest.mark.parametrize("layer", ["driver", "exporter", "local", "config"])
def test_a_client_does_not_load_what_serves(layer: str):
    loaded = loaded_by("from jumpstarter.client import DriverClient, client_from_path")
    assert [name for name in loaded if name.startswith(f"jumpstarter.{layer}")] == []


def test_connecting_loads_nothing_for_terminals_and_files():
    loaded = loaded_by("from jumpstarter.client import client_from_path")
    assert loaded & {"click", "rich", "aiohttp", "yaml", "pydantic"} == set()


def test_stub_file_names_what_is_fetched_on_demand():
    stub = ast.parse(Path(jumpstarter.client.__file__).with_suffix(".pyi").read_text())
    named = {
        f"{node.module}.{alias.asname}"
        for node in stub.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    homes: dict[str, str] = vars(jumpstarter.client)["_HOMES"]
    fetched = {f"{home}.{name}" for name, home in homes.items()}
    assert named == fetched | {"jumpstarter.client.base.DriverClient"}


@pytest.mark.parametrize(
    "name", ["FlasherClient", "FlasherClientInterface", "client_from_path", "Lease", "DirectLease"]
)
def test_names_fetched_on_demand(name: str):
    program = (
        "import jumpstarter.client\n"
        f"assert {name!r} in dir(jumpstarter.client)\n"
        f"assert {name!r} not in vars(jumpstarter.client)\n"
        f"from jumpstarter.client import {name}\n"
        f"assert jumpstarter.client.{name} is {name}\n"
    )
    assert "jumpstarter.client.base" in loaded_by(program)


def test_name_that_is_not_there():
    program = (
        "import jumpstarter.client\n"
        "try:\n"
        "    jumpstarter.client.Absent\n"
        "except AttributeError as error:\n"
        "    assert str(error) == \"module 'jumpstarter.client' has no attribute 'Absent'\"\n"
        "else:\n"
        "    raise SystemExit(1)\n"
    )
    assert loaded_by(program)
