"""Installs the programs that the tests and the demo run as peers, where one of them is missing.

Rule: standard library only; nothing is installed that is there already.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable

DEBIAN_PACKAGES = {
    "busctl": "systemd",
    "curl": "curl",
    "dbus-daemon": "dbus-daemon",
    "iperf3": "iperf3",
    "openssl": "openssl",
    "socat": "socat",
    "ssh": "openssh-client",
    "sshd": "openssh-server",
    "tftp": "tftp-hpa",
}
QUIET = ["DEBIAN_FRONTEND=noninteractive"]


def missing(programs: Iterable[str]) -> list[str]:
    """Return those of `programs` that are neither on the path nor where servers are installed."""
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"
    return [program for program in programs if shutil.which(program, path=path) is None]


def apt_get() -> list[str]:
    """Return the words that run apt-get with the right to install.

    Raises:
        SystemExit: there is no apt-get here, or no right to use it.
    """
    names = " ".join(missing(DEBIAN_PACKAGES))
    if shutil.which("apt-get") is None:
        sys.exit(f"missing programs: {names}. Install them with this system's package manager")
    if os.geteuid() == 0:
        return ["env", *QUIET, "apt-get"]
    if shutil.which("sudo") is None:
        sys.exit(f"missing programs: {names}. Run `make programs` as root once")
    return ["sudo", *QUIET, "apt-get"]


def install(programs: Iterable[str]) -> None:
    """Install the Debian packages of `programs`, quietly.

    Raises:
        SystemExit: apt-get failed, or a program is still missing.
    """
    apt = apt_get()
    packages = sorted({DEBIAN_PACKAGES[program] for program in programs})
    print("installing", *packages, flush=True)
    for words in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        command = [*apt, "-qq", *words]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(command)} failed: {done.stderr.strip() or done.stdout.strip()}")
    if still := missing(programs):
        sys.exit(f"still missing after the installation: {' '.join(still)}")


def main() -> None:
    """Install what is missing of the programs named, or of all."""
    wanted = sys.argv[1:] or list(DEBIAN_PACKAGES)
    if absent := missing(wanted):
        install(absent)


if __name__ == "__main__":
    main()
