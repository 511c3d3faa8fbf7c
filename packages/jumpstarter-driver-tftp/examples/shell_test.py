"""The commands, in processes: `jmp shell` with the example, and `j tftp …` in it, as users type."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

CONTENT = bytes(range(256)) * 400
PROGRAMS = Path(sys.executable).parent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a directory with the example, on any free port, and a file to serve."""
    example = Path(__file__).with_name("exporter.yaml").read_text(encoding="utf-8")
    (tmp_path / "exporter.yaml").write_text(example.replace("6969", "0"), encoding="utf-8")
    (tmp_path / "boot.img").write_bytes(CONTENT)
    return tmp_path


def shell(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a shell of the exporter."""
    return subprocess.run(
        [PROGRAMS / "jmp", "shell", "--exporter-config", "exporter.yaml", "--", *command],
        cwd=folder,
        env={"HOME": str(folder), "PATH": f"{PROGRAMS}:{os.environ['PATH']}", "LANG": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )


def script(folder: Path, text: str) -> str:
    """Run a script in a shell of the exporter, and return what it printed."""
    done = shell(folder, "bash", "-euo", "pipefail", "-c", text)
    assert done.returncode == 0, done
    assert "Traceback" not in done.stderr
    return done.stdout


def test_files_come_and_go(folder: Path):
    printed = script(
        folder,
        """
        j tftp put boot.img
        j tftp put boot.img --as pxe/boot.img
        j tftp ls -o name
        j tftp get pxe/boot.img copy
        j tftp rm pxe/boot.img
        j tftp ls
        """,
    )
    assert printed.splitlines() == [
        "boot.img: 100.0 KiB, verified",
        "pxe/boot.img: 100.0 KiB, verified",
        "boot.img",
        "pxe/boot.img",
        "pxe/boot.img: 100.0 KiB, verified",
        "      102400  boot.img",
    ]
    assert (folder / "copy").read_bytes() == CONTENT
    assert list((folder / "tftpboot").iterdir()) == []


GET = "python -m jumpstarter_driver_tftp get ${url}"


def test_server_tells_what_it_does(folder: Path):
    printed = script(
        folder,
        f"""
        j tftp put boot.img > /dev/null
        url=$(j tftp start)
        {GET}boot.img -o copy --blksize 1468 --windowsize 16
        j tftp transfers -o json
        j tftp status -o yaml
        j tftp stop
        j tftp status
        """,
    )
    report, rest = printed.split("\n", 1)
    status = yaml.safe_load(rest.rpartition("stopped;")[0])
    assert (status["running"], status["counts"]) == (True, {"complete": 1})
    transfer = json.loads(report)
    assert (transfer["name"], transfer["state"], transfer["done"]) == (
        "boot.img",
        "complete",
        102400,
    )
    assert "stopped; would serve tftp://127.0.0.1:0/\nrequests: 1 (latest: 1 complete)" in rest
    assert (folder / "copy").read_bytes() == CONTENT


def test_doctor_watches_a_netboot(folder: Path):
    # The client may run as soon as the doctor says so, and not sooner.
    printed = script(
        folder,
        f"""
        j tftp put boot.img > /dev/null
        j tftp doctor --quiet 3 | while read -r line; do
            echo "$line"
            case $line in
                *://*) url=${{line##* }} ;;
                Switch*) {GET}Boot.img -o copy 2> /dev/null || {GET}boot.img -o copy ;;
            esac
        done
        """,
    )
    lines = [re.sub(r"127\.0\.0\.1:\d+", "ADDRESS", line) for line in printed.splitlines()]
    assert lines[0] == "The server was not running and has been started."
    assert 'ADDRESS asked for `Boot.img`: refused, error 1 "File not found"' in lines
    assert "There is `boot.img`; upper and lower case must agree." in lines
    assert any(line.startswith("ADDRESS asked for `boot.img`: got it, 100.0 KiB") for line in lines)
    assert lines[-1] == "Good: 127.0.0.1 got the last file, `boot.img` (2 requests, 1 served)."


def test_doctor_fails_when_nothing_comes(folder: Path):
    done = shell(folder, "j", "tftp", "doctor", "--wait", "0.1")
    assert done.returncode == 1
    assert "Failed: no request came." in done.stdout


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("put", "missing"), 1, "Error: missing: No such file or directory"),
        (("put", "boot.img", "boot.img", "--as", "x"), 1, "--as names one file"),
        (("get", "missing"), 1, "no such file or directory"),
        (("rm", "missing"), 1, "no such file or directory"),
        (("doctor", "--client", "board"), 1, "'board' is no IP address"),
    ],
)
def test_wrong_use_is_told(folder: Path, words: tuple[str, ...], code: int, text: str):
    done = shell(folder, "j", "tftp", *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert text in done.stderr
    assert "Traceback" not in done.stderr
