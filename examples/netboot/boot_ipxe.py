"""Netboots the PC of `exporter-ipxe.yaml`: iPXE fetches a script, and that fetches an image.

    jmp shell --exporter-config exporter-ipxe.yaml -- python boot_ipxe.py IMAGE

The PC's checksum of the image, read from its serial console, must be that of the file here.
"""

import re
import sys
from pathlib import Path
from typing import cast
from zlib import crc32

from checksum import program
from jumpstarter.common.utils import env
from jumpstarter_driver_network.adapters import PexpectAdapter
from jumpstarter_driver_network.client import NetworkClient
from jumpstarter_driver_power.client import PowerClient
from jumpstarter_driver_tftp.client import TftpServerClient

SCRIPT = b"""\
#!ipxe
kernel checksum
module board.img
boot
"""
CHECKSUM = re.compile(rb"==> ([0-9a-f]{8})")
TIMEOUT = 60


def serve(tftp: TftpServerClient, image: Path) -> None:
    """Upload the script, the program and the image, and start the server."""
    tftp.storage.write_bytes("boot.ipxe", SCRIPT)
    tftp.storage.write_bytes("checksum", program())
    tftp.storage.write_from_path("board.img", str(image))
    tftp.start()


def boot(power: PowerClient, console: NetworkClient) -> int:
    """Switch the PC on, and return the checksum that it prints. It needs nobody at its console."""
    with PexpectAdapter(client=console) as pc:
        pc.logfile_read = sys.stdout.buffer
        power.on()
        pc.expect(CHECKSUM, timeout=TIMEOUT)
        return int(cast("re.Match[bytes]", pc.match)[1], 16)


def main() -> None:
    """Boot the PC with the image named on the command line."""
    image = Path(sys.argv[1])
    with env() as client:
        power = cast("PowerClient", client.children["power"])
        tftp = cast("TftpServerClient", client.children["tftp"])
        console = cast("NetworkClient", client.children["console"])
        serve(tftp, image)
        there = boot(power, console)
        power.off()
    here = crc32(image.read_bytes())
    if there != here:
        sys.exit(f"\nthe PC has another image: CRC-32 {there:08x} there, {here:08x} here")
    print(f"\nthe PC has {image.name}: CRC-32 {here:08x}")


if __name__ == "__main__":
    main()
