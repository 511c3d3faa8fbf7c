"""http: files that a client uploads, fetched from the web server with curl."""

import subprocess
from pathlib import Path

import pytest
from jumpstarter.common.utils import serve

from .conftest import Client, Clients, Offers, Program, Served, instantiate

CONNECTION_REFUSED = 7


@pytest.fixture
def entry(tmp_path: Path) -> str:
    return f"""
type: jumpstarter_driver_http.driver.HttpServer
config: {{root_dir: {tmp_path}/www, host: 127.0.0.1, port: 0}}
"""


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image.bin"
    path.write_bytes(bytes(range(256)) * 9000)
    return path


def test_import(offers: Offers):
    assert offers("jumpstarter-driver-http") == {"HttpServer"}


def test_build_with_storage(clients: Clients, entry: str):
    assert clients(entry) == {
        "": "jumpstarter_driver_http.client.HttpServerClient",
        "storage": "jumpstarter_driver_opendal.client.OpendalClient",
    }


def test_call_uploaded_file_can_be_fetched(
    served: Served, entry: str, image: Path, program: Program
):
    client = served(entry)
    client.start()
    url = client.put_file("boards/image.bin", image)
    assert url == f"{client.get_url()}/boards/image.bin"
    command = [program("curl"), "--fail", "--silent", url]
    fetched = subprocess.run(command, capture_output=True, check=True).stdout
    assert fetched == image.read_bytes()
    client.stop()
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == CONNECTION_REFUSED


def test_call_uploads_are_removed_at_the_end(entry: str, image: Path, tmp_path: Path):
    with serve(instantiate(entry)) as served:
        client: Client = served
        client.put_file("image.bin", image)
        assert (tmp_path / "www" / "image.bin").exists()
    assert not (tmp_path / "www" / "image.bin").exists()
