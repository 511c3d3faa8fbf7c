"""The part of the tour that shows what a router carries: an upload, and a port forward.

Run it in a shell of a leased device:

    jmp shell --selector kind=desk -- python remote.py FILE
"""

import sys
import tempfile
from pathlib import Path
from typing import cast

from jumpstarter.common.utils import env
from jumpstarter_driver_network.client import NetworkClient
from jumpstarter_driver_tftp.client import TftpServerClient
from tour import forward, upload


def carry(tftp: TftpServerClient, service: NetworkClient, file: Path) -> None:
    """Send the file to the device, and load it from the device's web page."""
    upload(tftp, file)
    with tempfile.TemporaryDirectory() as name:
        forward(service, file, Path(name))


def main() -> None:
    """Carry the file named on the command line there and back."""
    with env() as desk:
        tftp = cast("TftpServerClient", desk.children["tftp"])
        service = cast("NetworkClient", desk.children["network"].children["service"])
        carry(tftp, service, Path(sys.argv[1]))


if __name__ == "__main__":
    main()
