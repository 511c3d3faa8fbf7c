"""A data directory that may be read and not written: one line, and nothing changed.

Root may write anywhere, so these programs run without the capability to (capabilities(7)).
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jumpstarter_controller.config import Config
from jumpstarter_controller.server import running_controller

WITHOUT_PRIVILEGE = ["setpriv", "--bounding-set=-dac_override", "--"] if os.geteuid() == 0 else []
PROGRAM = [*WITHOUT_PRIVILEGE, sys.executable, "-m", "jumpstarter_controller"]
ADDRESSES = ["--grpc", "127.0.0.1:0", "--login", "127.0.0.1:0"]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(data=tmp_path / "data", grpc="127.0.0.1:0", login=None)


def refusal(data: Path) -> str:
    """Start a controller that must refuse, and return what it says."""
    argv = [*PROGRAM, "--data", str(data), *ADDRESSES]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    return line


@pytest.mark.parametrize(
    ("mode", "file_mode", "words"),
    [(0o500, 0o600, "readonly database"), (0o500, 0o400, "ermission denied")],
    ids=["directory", "files too"],
)
async def test_a_data_directory_that_may_not_be_written(
    config: Config, mode: int, file_mode: int, words: str
) -> None:
    async with running_controller(config):
        pass
    files = sorted(config.data.iterdir())
    # Who holds the lock writes its number there.
    before = {path: path.read_bytes() for path in files if path.name != "lock"}
    for path in files:
        path.chmod(file_mode)
    config.data.chmod(mode)

    line = refusal(config.data)
    config.data.chmod(0o700)

    assert str(config.data) in line
    assert words in line
    assert sorted(config.data.iterdir()) == files
    for path, content in before.items():
        assert path.read_bytes() == content, path


def test_a_data_directory_that_cannot_be_made(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)

    line = refusal(folder / "data")

    assert f"cannot use the data directory '{folder / 'data'}'" in line
    assert not (folder / "data").exists()
