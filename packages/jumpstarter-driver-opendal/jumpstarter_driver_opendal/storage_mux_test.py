"""A storage that changes sides, through the mock multiplexers."""

import logging
import os
from collections.abc import Generator
from pathlib import Path

import pytest
from click.testing import CliRunner
from jumpstarter.client.core import DriverError
from jumpstarter.client.decorators import driver_click_group
from jumpstarter.common.exceptions import ArgumentError
from jumpstarter.common.utils import serve
from jumpstarter.driver import export
from opendal import Operator

from jumpstarter_driver_opendal.client import StorageMuxClient, StorageMuxFlasherClient
from jumpstarter_driver_opendal.driver import MockStorageMux, MockStorageMuxFlasher

DATA = os.urandom((1 << 20) + 5)
HOST = "storage connected to the host"
DUT = "storage connected to the device under test"


class Broken(MockStorageMuxFlasher):
    """A multiplexer whose storage cannot be written or read."""

    @export
    async def write(self, src: str) -> None:
        del src
        raise OSError("medium is worn out")

    @export
    async def read(self, dst: str) -> None:
        del dst
        raise OSError("medium is worn out")


@pytest.fixture
def mux() -> Generator[StorageMuxClient]:
    with serve(MockStorageMux()) as client:
        assert isinstance(client, StorageMuxClient)
        yield client


@pytest.fixture
def flasher() -> Generator[StorageMuxFlasherClient]:
    with serve(MockStorageMuxFlasher()) as client:
        assert isinstance(client, StorageMuxFlasherClient)
        yield client


@pytest.fixture
def broken() -> Generator[StorageMuxFlasherClient]:
    with serve(Broken()) as client:
        assert isinstance(client, StorageMuxFlasherClient)
        yield client


@pytest.fixture(autouse=True)
def positions(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


def moves(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [message for message in caplog.messages if message.startswith("storage ")]


def test_storage_keeps_a_local_file(mux: StorageMuxClient, tmp_path: Path) -> None:
    (tmp_path / "up").write_bytes(DATA)
    mux.write_local_file(tmp_path / "up")
    mux.read_local_file(str(tmp_path / "down"))
    assert (tmp_path / "down").read_bytes() == DATA


def test_storage_keeps_a_file_of_a_service(mux: StorageMuxClient, tmp_path: Path) -> None:
    operator = Operator("fs", root=str(tmp_path))
    (tmp_path / "up").write_bytes(DATA)
    mux.write_file(operator, "up")
    mux.read_file(operator, "down")
    assert (tmp_path / "down").read_bytes() == DATA


def test_storage_changes_sides(mux: StorageMuxClient, positions: pytest.LogCaptureFixture) -> None:
    mux.host()
    mux.dut()
    mux.off()
    assert moves(positions) == [HOST, DUT, "storage disconnected"]


def test_reading_before_writing_says_so(mux: StorageMuxClient, tmp_path: Path) -> None:
    with pytest.raises(DriverError, match="nothing has been written to 'storage' yet"):
        mux.read_local_file(tmp_path / "down")


def test_flashing_goes_over_the_host_and_back(
    flasher: StorageMuxFlasherClient, tmp_path: Path, positions: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "up").write_bytes(DATA)
    flasher.flash(tmp_path / "up")
    flasher.dump(tmp_path / "down")
    assert (tmp_path / "down").read_bytes() == DATA
    assert moves(positions) == [HOST, DUT, HOST, DUT]


def test_device_gets_the_storage_back_when_flashing_fails(
    broken: StorageMuxFlasherClient, tmp_path: Path, positions: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "up").write_bytes(DATA)
    with pytest.raises(DriverError, match="medium is worn out"):
        broken.flash(tmp_path / "up")
    with pytest.raises(DriverError, match="medium is worn out"):
        broken.dump(tmp_path / "down")
    assert moves(positions) == [HOST, DUT, HOST, DUT]


def test_storage_without_parts_takes_no_target(
    flasher: StorageMuxFlasherClient, tmp_path: Path, positions: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ArgumentError, match=r"flash: this storage has no parts.*'boot'"):
        flasher.flash(tmp_path, target="boot")
    with pytest.raises(ArgumentError, match="dump: this storage has no parts"):
        flasher.dump(tmp_path, target="boot")
    with pytest.raises(ArgumentError, match="the storage takes one image"):
        flasher.flash({"boot": tmp_path})
    assert moves(positions) == []


def test_commands_move_and_write(
    mux: StorageMuxClient, tmp_path: Path, positions: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "up").write_bytes(DATA)
    for args in (["host"], ["write-local-file", f"{tmp_path}/up"], ["dut"], ["off"]):
        result = CliRunner().invoke(mux.cli(), args)
        assert (result.exit_code, result.output) == (0, "")
    assert moves(positions) == [HOST, DUT, "storage disconnected"]
    mux.read_local_file(tmp_path / "down")
    assert (tmp_path / "down").read_bytes() == DATA


def test_commands_can_extend_another_group(mux: StorageMuxClient) -> None:
    @driver_click_group(mux)
    def base() -> None:
        """Do something else"""

    @base.command()
    def other() -> None:
        """Do it"""

    assert mux.cli(base) is base
    assert sorted(base.commands) == ["dut", "host", "off", "other", "write-local-file"]
    assert other.name == "other"


def test_flasher_has_the_commands_of_both(flasher: StorageMuxFlasherClient) -> None:
    names = ["dump", "dut", "flash", "host", "off", "write-local-file"]
    assert sorted(flasher.cli().commands) == names


def test_help_comes_from_the_configuration() -> None:
    driver = MockStorageMux(
        description="The SD card", methods_description={"dut": "Give it to the board"}
    )
    with serve(driver) as client:
        assert isinstance(client, StorageMuxClient)
        output = CliRunner().invoke(client.cli(), ["--help"]).output
    assert "The SD card" in output
    assert "Give it to the board" in output
