"""Installs the programs that the tests and the demo run as peers, where one of them is missing.

Rule: standard library only; nothing is installed that is there already.

Usage: python tools/programs.py [PROGRAM ...]
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

FOR_TESTS = {
    "atftp": "atftp",
    "busctl": "systemd",
    "busybox": "busybox",
    "bzip2": "bzip2",
    "curl": "curl",
    "dbus-daemon": "dbus-daemon",
    "dnsmasq": "dnsmasq-base",
    "ip": "iproute2",
    "iperf3": "iperf3",
    "openssl": "openssl",
    "qemu-system-aarch64": "qemu-system-arm",
    "qemu-system-x86_64": "qemu-system-x86",
    "socat": "socat",
    "ssh": "openssh-client",
    "sshd": "openssh-server",
    "tftp": "tftp-hpa",
    "tshark": "tshark",
    "unshare": "util-linux",
    "xz": "xz-utils",
    "zstd": "zstd",
    "/usr/lib/ipxe/qemu/efi-virtio.rom": "ipxe-qemu",
    "/usr/lib/u-boot/qemu_arm64/u-boot.bin": "u-boot-qemu",
}
"""The Debian package of each program, or of each file that such a program needs."""

FOR_INTEROP = {
    "mosquitto": "mosquitto",
    "qemu-img": "qemu-utils",
}
DEBIAN_PACKAGES = FOR_TESTS | FOR_INTEROP
QUIET = ["DEBIAN_FRONTEND=noninteractive"]


def missing(programs: Iterable[str]) -> list[str]:
    """Return those of `programs` that are neither on the path nor where servers are installed.

    One that is given as a path is a file, which need not be executable.
    """
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    return [
        program
        for program in programs
        if not (Path(program).is_file() if "/" in program else shutil.which(program, path=path))
    ]


def apt_get() -> list[str]:
    """Return the words that run apt-get with the right to install.

    Raises:
        LookupError: there is no apt-get here, or no right to use it; the text says what to do.
    """
    if shutil.which("apt-get") is None:
        raise LookupError("install them with this system's package manager")
    if os.geteuid() == 0:
        return ["env", *QUIET, "apt-get"]
    if shutil.which("sudo") is None:
        raise LookupError("run the same as root once")
    return ["sudo", *QUIET, "apt-get"]


def install(programs: list[str]) -> None:
    """Install the Debian packages of `programs`, quietly.

    Raises:
        SystemExit: apt-get cannot be used or failed, or a program is still missing.
    """
    try:
        apt = apt_get()
    except LookupError as error:
        sys.exit(f"missing programs: {' '.join(programs)}: {error}")
    packages = sorted({DEBIAN_PACKAGES[program] for program in programs})
    print("installing", *packages, flush=True)
    for words in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        command = [*apt, "-qq", "-o", "DPkg::Lock::Timeout=60", *words]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(command)} failed: {done.stderr.strip() or done.stdout.strip()}")
    if still := missing(programs):
        sys.exit(f"still missing after the installation: {' '.join(still)}")


def main() -> None:
    """Install what is missing of the programs named, or of those that the tests need."""
    wanted = sys.argv[1:] or list(FOR_TESTS)
    if unknown := [program for program in wanted if program not in DEBIAN_PACKAGES]:
        sys.exit(f"tools/programs.py does not know the package of: {' '.join(unknown)}")
    if absent := missing(wanted):
        install(absent)


if __name__ == "__main__":
    main()
