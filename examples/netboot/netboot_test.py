"""Boot loaders of others fetch from the TFTP driver what this example serves them.

Each runs as a reader of the tutorial runs it, in a network namespace of its own, so that port 69 is
free and may be used, and nothing outside is reached.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from zlib import crc32

import pytest
from checksum import program

HERE = Path(__file__).resolve().parent
WITH_LOOPBACK = 'ip link set lo up && exec "$@"'
NAMESPACE = ["unshare", "--map-root-user", "--net", "sh", "-c", WITH_LOOPBACK, "-"]
SIZE = 16 << 20
TIMEOUT = 100
CHECKSUM = re.compile(r"==> ([0-9a-f]{8})\b")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the example and an image."""
    folder = tmp_path / "netboot"
    shutil.copytree(HERE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "board.img").write_bytes(os.urandom(SIZE))
    return folder


def boot(folder: Path, exporter: str, script: str) -> str:
    jmp = Path(sys.executable).with_name("jmp")
    shell = [jmp, "shell", "--exporter-config", exporter, "--"]
    done = subprocess.run(
        [*NAMESPACE, *shell, sys.executable, script, "board.img"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.timeout(TIMEOUT + 10)
@pytest.mark.parametrize(
    ("exporter", "script"),
    [("exporter.yaml", "boot.py"), ("exporter-ipxe.yaml", "boot_ipxe.py")],
    ids=["u-boot", "ipxe"],
)
def test_a_boot_loader_fetches_a_script_and_an_image(folder: Path, exporter: str, script: str):
    output = boot(folder, exporter, script)
    checksum = crc32((folder / "board.img").read_bytes())
    assert CHECKSUM.findall(output) == [f"{checksum:08x}"], output


def test_the_program_is_where_its_code_expects_its_parts():
    image = program()
    assert len(image) < 8192  # the header must be within the first 8 KiB
    assert image[0x88:] == b"\r\nCRC-32 ==> "
    assert len(image[0x88:]) == 13
