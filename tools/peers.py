"""Provides published packages as peers, release 0.9.0 above all, each set in an own environment.

    python tools/peers.py protocol      prints the path of an interpreter that can import the set

Compatibility tests, interoperability tests and benchmarks run these packages as peers, in their own
processes; they never share an environment with ours. An environment is made once and kept, in the
directory that JUMPSTARTER_PEERS names or else in `.peers/` of the repository. It counts as made
only when its marker is there, which is written last; a lock keeps two callers from making it at
once.
"""

import argparse
import fcntl
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

UV = Path(__file__).resolve().parents[1] / ".tools" / "bin" / "uv"
RELEASE = "0.9.0"
SETS = {
    "protocol": ("jumpstarter-protocol",),
    "full": (
        "jumpstarter",
        "jumpstarter-cli",
        "jumpstarter-driver-composite",
        "jumpstarter-driver-network",
        "jumpstarter-driver-opendal",
        "jumpstarter-driver-power",
        "jumpstarter-driver-tftp",
    ),
    "old": (
        "jumpstarter",
        "jumpstarter-cli",
        "jumpstarter-driver-composite",
        "jumpstarter-driver-network",
        "jumpstarter-driver-power",
    ),
    "py3tftp": ("py3tftp",),
}
OTHER_RELEASES = {"old": "0.7.4", "py3tftp": "1.3.0"}
"""The releases of sets that are not of RELEASE, by their names."""


class PeerError(Exception):
    """An environment cannot be made; the text says which, and what the installer printed."""


def peers_directory() -> Path:
    """Return the directory of all environments."""
    chosen = os.environ.get("JUMPSTARTER_PEERS")
    return Path(chosen) if chosen else Path(__file__).resolve().parents[1] / ".peers"


def release(set_name: str) -> str:
    """Return the release of a set's packages."""
    return OTHER_RELEASES.get(set_name, RELEASE)


def environment_name(set_name: str) -> str:
    """Return the directory name of a set's environment, by all that decides what is in it."""
    return f"{set_name}-{release(set_name)}-py{sys.version_info.major}.{sys.version_info.minor}"


def requirements(set_name: str) -> list[str]:
    """Return what to install for a set; these packages pin their siblings themselves."""
    return [f"{package}=={release(set_name)}" for package in SETS[set_name]]


@contextmanager
def locked(path: Path) -> Generator[None]:
    """Hold the lock file at `path`, after its present holder if there is one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def install(environment: Path, set_name: str) -> None:
    """Make the environment of a set, in place of a half-made one.

    Raises:
        PeerError: the packages could not be installed.
    """
    python = str(interpreter(environment))
    for words in (
        ["venv", "--clear", "--python", sys.executable, str(environment)],
        ["pip", "install", "--python", python, *requirements(set_name)],
    ):
        argv = [str(UV), *words, "--quiet"]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode:
            raise PeerError(f"{environment}: cannot install {set_name!r}: {done.stderr.strip()}")


def interpreter(environment: Path) -> Path:
    """Return the interpreter of an environment."""
    return environment / "bin" / "python"


def peer_interpreter(set_name: str) -> Path:
    """Return the interpreter that can import the packages of a set, made ready when it is not.

    Raises:
        PeerError: the packages could not be installed.
    """
    environment = peers_directory().absolute() / environment_name(set_name)
    ready = environment / "ready"
    with locked(environment.with_name(f"{environment.name}.lock")):
        if not ready.exists():
            install(environment, set_name)
            ready.touch()
    return interpreter(environment)


def main() -> int:
    """Print the path of an interpreter."""
    parser = argparse.ArgumentParser(description="Provide published packages as peers.")
    parser.add_argument("set", choices=sorted(SETS), help="which packages")
    set_name: str = parser.parse_args().set
    try:
        path = peer_interpreter(set_name)
    except PeerError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
