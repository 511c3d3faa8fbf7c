"""Flashing and dumping through the mock flasher, from files and from a web server."""

import gzip
import os
from collections.abc import Generator
from pathlib import Path

import pytest
from click.testing import CliRunner
from jumpstarter.client.core import DriverError
from jumpstarter.common.exceptions import ArgumentError
from jumpstarter.common.utils import serve
from jumpstarter.streams.encoding import Compression
from opendal import Operator

from jumpstarter_driver_opendal.client import FlasherClient, OpendalClient, operator_for_path
from jumpstarter_driver_opendal.conftest import WebServer
from jumpstarter_driver_opendal.driver import MockFlasher

DATA = os.urandom((1 << 20) + 5)


@pytest.fixture
def flasher() -> Generator[FlasherClient]:
    with serve(MockFlasher()) as client:
        assert isinstance(client, FlasherClient)
        yield client


def dumped(flasher: FlasherClient, tmp_path: Path, target: str | None = None) -> bytes:
    path = tmp_path / "dumped"
    flasher.dump(path, target=target)
    return path.read_bytes()


def test_image_comes_back(flasher: FlasherClient, tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(DATA)
    flasher.flash(tmp_path / "image")
    assert dumped(flasher, tmp_path) == DATA


def test_images_go_to_their_targets(flasher: FlasherClient, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(name.encode())
    assert flasher.flash({"x/1": tmp_path / "a", "y": str(tmp_path / "b")}) == {
        "x/1": None,
        "y": None,
    }
    assert dumped(flasher, tmp_path, "x/1") == b"a"
    assert dumped(flasher, tmp_path, "y") == b"b"


def test_each_image_may_have_its_operator(flasher: FlasherClient, tmp_path: Path) -> None:
    operators = {name: Operator("fs", root=str(tmp_path / name)) for name in ("a", "b")}
    for name in operators:
        (tmp_path / name / "image").write_text(name)
    flasher.flash({"a": "image", "b": "image"}, operator=operators)
    assert dumped(flasher, tmp_path, "b") == b"b"


def test_compressed_image_is_flashed_plain_and_dumped_compressed(
    flasher: FlasherClient, tmp_path: Path
) -> None:
    (tmp_path / "image.gz").write_bytes(gzip.compress(DATA))
    flasher.flash(tmp_path / "image.gz", compression=Compression.GZIP)
    assert dumped(flasher, tmp_path) == DATA
    flasher.dump(tmp_path / "out.gz", compression=Compression.GZIP)
    assert gzip.decompress((tmp_path / "out.gz").read_bytes()) == DATA


def test_web_address_is_fetched_by_the_exporter(
    flasher: FlasherClient, web: WebServer, tmp_path: Path
) -> None:
    web.files["/image?x=1"] = DATA
    flasher.flash(f"{web.url}/image?x=1")
    assert dumped(flasher, tmp_path) == DATA
    assert web.requests == ["GET /image?x=1"]


def test_compressed_web_address_passes_through_the_client(
    flasher: FlasherClient, web: WebServer, tmp_path: Path
) -> None:
    web.files["/a%20b.gz"] = gzip.compress(DATA)
    flasher.flash(f"{web.url}/a%20b.gz", compression=Compression.GZIP)
    assert dumped(flasher, tmp_path) == DATA


def test_dump_to_a_web_address_is_put_there_by_the_exporter(
    flasher: FlasherClient, web: WebServer, tmp_path: Path
) -> None:
    (tmp_path / "image").write_bytes(DATA)
    flasher.flash(tmp_path / "image")
    flasher.dump(f"{web.url}/out")
    assert web.files["/out"] == DATA
    assert web.requests == ["PUT /out"]


def test_arguments_that_do_not_go_together_are_refused(
    flasher: FlasherClient, tmp_path: Path
) -> None:
    with pytest.raises(ArgumentError, match="'target' cannot be given with several images"):
        flasher.flash({"a": tmp_path}, target="b")
    with pytest.raises(ArgumentError, match="'operator' is a mapping but there is one image"):
        flasher.flash(tmp_path, operator={"a": Operator("memory")})
    with pytest.raises(ArgumentError, match="'compression' is not possible"):
        flasher.dump("https://host/out", compression=Compression.GZIP)


def test_dump_of_what_was_never_flashed_names_it(flasher: FlasherClient, tmp_path: Path) -> None:
    with pytest.raises(DriverError, match="nothing has been written to 'boot' yet"):
        flasher.dump(tmp_path / "out", target="boot")


def test_missing_image_is_named(flasher: FlasherClient, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="missing': no such file"):
        flasher.flash(tmp_path / "missing")


def test_file_is_uploaded_unless_the_storage_has_the_same(
    flasher: FlasherClient, storage: OpendalClient, tmp_path: Path
) -> None:
    (tmp_path / "image").write_bytes(DATA)
    path, operator, scheme = operator_for_path(tmp_path / "image")

    def should_upload(scheme: str) -> bool:
        return flasher._should_upload_file(storage, "image", path, operator, scheme)  # pyright: ignore[reportPrivateUsage] - called by drivers of others

    assert should_upload(scheme)
    storage.write_bytes("image", DATA[:-1] + b"x")
    assert should_upload(scheme)
    storage.write_bytes("image", DATA)
    assert not should_upload(scheme)
    assert should_upload("http")


def test_closing_the_mock_removes_its_files(tmp_path: Path) -> None:
    driver = MockFlasher()
    with serve(driver) as client:
        assert isinstance(client, FlasherClient)
        (tmp_path / "image").write_bytes(DATA)
        client.flash(tmp_path / "image")
        assert driver.files.directory is not None
        directory = Path(driver.files.directory.name)
        assert len(list(directory.iterdir())) == 1
    assert not directory.exists()


def test_commands_flash_and_dump(flasher: FlasherClient, tmp_path: Path) -> None:
    (tmp_path / "image.gz").write_bytes(gzip.compress(DATA))
    cli = flasher.cli()
    assert sorted(cli.commands) == ["dump", "flash"]
    for args in (
        ["flash", "-t", f"boot:{tmp_path}/image.gz", "--compression", "gzip"],
        ["dump", "--target", "boot", f"{tmp_path}/out"],
    ):
        result = CliRunner().invoke(cli, args)
        assert (result.exit_code, result.output) == (0, "")
    assert (tmp_path / "out").read_bytes() == DATA
