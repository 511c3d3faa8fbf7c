"""Fixtures of the TFTP tests: programs of others, installed when they are missing."""

import os
import shutil
import subprocess
from collections.abc import Callable

import pytest


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def program() -> Callable[[str, str], str]:
    """Return the path of a program, after installing its Debian package if need be."""

    def find(name: str, package: str) -> str:
        path = shutil.which(name)
        if path is None:
            install(package)
            path = shutil.which(name)
        assert path is not None, f"{name}: missing after `apt-get install {package}`"
        return path

    return find


def install(package: str) -> None:
    """Install a Debian package, as root or through sudo."""
    prefix = [] if os.geteuid() == 0 else ["sudo", "-n"]
    for command in (["apt-get", "update"], ["apt-get", "install", "-y", package]):
        done = subprocess.run([*prefix, *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.strip()}"
