"""Provides TFTP daemons of others as peers, unpacked from their Debian packages but not installed.

    python tools/daemons.py atftpd       prints the path of the program

The packages conflict with each other, and installed ones would start services. So each is unpacked
into the directory of all peers, see peers.py, and only what it depends on is installed. A daemon
that this system has already is used as it is.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from peers import locked, peers_directory
from programs import apt_get

PACKAGES = {"atftpd": "atftpd", "in.tftpd": "tftpd-hpa"}
DIRECTORIES = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


class DaemonError(Exception):
    """A daemon cannot be provided; the text says what failed, and what it printed."""


def run(*argv: str, cwd: Path | None = None) -> str:
    """Run a command, and return what it printed.

    Raises:
        DaemonError: it failed.
    """
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DaemonError(f"{' '.join(argv)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def unpack(package: str, target: Path) -> None:
    """Unpack a Debian package as `target`, and install what it depends on.

    Raises:
        DaemonError: the package cannot be had, or what it needs.
    """
    try:
        apt = apt_get()
    except LookupError as error:
        raise DaemonError(f"{package}: {error}") from error
    options = ("-qq", "-o", "DPkg::Lock::Timeout=60")
    with tempfile.TemporaryDirectory(dir=target.parent) as directory:
        scratch = Path(directory)
        run(*apt, *options, "update")
        run("apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", package, cwd=scratch)
        [archive] = scratch.glob("*.deb")
        needed = run("dpkg-deb", "--field", str(archive), "Depends").strip()
        run(*apt, *options, "--yes", "--no-install-recommends", "satisfy", needed)
        run("dpkg-deb", "--extract", str(archive), str(scratch / "files"))
        (scratch / "files").rename(target)


def daemon(name: str) -> Path:
    """Return the path of a daemon, provided when it is not there.

    Raises:
        DaemonError: it cannot be provided.
    """
    if installed := shutil.which(name, path=DIRECTORIES):
        return Path(installed)
    package = PACKAGES[name]
    target = peers_directory().absolute() / f"debian-{package}"
    with locked(target.with_name(f"{target.name}.lock")):
        if not target.exists():
            unpack(package, target)
    return target / "usr" / "sbin" / name


def main() -> int:
    """Print the path of a daemon."""
    parser = argparse.ArgumentParser(description="Provide a TFTP daemon of others as a peer.")
    parser.add_argument("name", choices=sorted(PACKAGES), help="which one")
    name: str = parser.parse_args().name
    try:
        path = daemon(name)
    except DaemonError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
