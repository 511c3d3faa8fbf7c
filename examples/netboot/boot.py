"""Netboots the board of `exporter.yaml`: U-Boot fetches a script, and that fetches an image.

    jmp shell --exporter-config exporter.yaml -- python boot.py IMAGE

The board's checksum of the image, read from its serial console, must be that of the file here.
"""

import re
import struct
import sys
from pathlib import Path
from typing import cast
from zlib import crc32

from jumpstarter.common.utils import env
from jumpstarter_driver_network.adapters import PexpectAdapter
from jumpstarter_driver_network.client import NetworkClient
from jumpstarter_driver_power.client import PowerClient
from jumpstarter_driver_tftp.client import TftpServerClient

SCRIPT = b"""\
tftpboot ${kernel_addr_r} board.img
crc32 ${kernel_addr_r} ${filesize}
"""
COMMANDS = """\
setenv autoload no
dhcp
setenv serverip SERVER
setenv tftpblocksize 1428
setenv tftpwindowsize 16
tftpboot ${scriptaddr} boot.scr
source ${scriptaddr}
"""
PROMPT = b"\n=> "
CHECKSUM = re.compile(rb"==> ([0-9a-f]{8})")
TIMEOUT = 60


def script_image(script: bytes) -> bytes:
    """Return a script in the form that U-Boot's `source` takes, as `mkimage -T script` makes it."""
    data = struct.pack(">II", len(script), 0) + script
    linux, arm64, kind, plain = 5, 22, 6, 0

    def header(checksum: int) -> bytes:
        numbers = (0x27051956, checksum, 0, len(data), 0, 0, crc32(data), linux, arm64, kind, plain)
        return struct.pack(">7I4B32s", *numbers, b"boot")

    return header(crc32(header(0))) + data


def serve(tftp: TftpServerClient, image: Path) -> None:
    """Upload script and image, and start the server."""
    tftp.storage.write_bytes("boot.scr", script_image(SCRIPT))
    tftp.storage.write_from_path("board.img", str(image))
    tftp.start()


def boot(power: PowerClient, console: NetworkClient, server: str) -> int:
    """Switch the board on, type the commands, and return the checksum that it prints."""
    with PexpectAdapter(client=console) as board:
        board.logfile_read = sys.stdout.buffer
        power.on()
        board.expect_exact(b"stop autoboot", timeout=TIMEOUT)
        board.send(b" ")
        for command in COMMANDS.replace("SERVER", server).splitlines():
            board.expect_exact(PROMPT, timeout=TIMEOUT)
            board.sendline(command)
        board.expect(CHECKSUM, timeout=TIMEOUT)
        return int(cast("re.Match[bytes]", board.match)[1], 16)


def main() -> None:
    """Boot the board with the image named on the command line."""
    image = Path(sys.argv[1])
    with env() as client:
        power = cast("PowerClient", client.children["power"])
        tftp = cast("TftpServerClient", client.children["tftp"])
        console = cast("NetworkClient", client.children["console"])
        serve(tftp, image)
        there = boot(power, console, tftp.get_host())
        power.off()
    here = crc32(image.read_bytes())
    if there != here:
        sys.exit(f"\nthe board has another image: CRC-32 {there:08x} there, {here:08x} here")
    print(f"\nthe board has {image.name}: CRC-32 {here:08x}")


if __name__ == "__main__":
    main()
