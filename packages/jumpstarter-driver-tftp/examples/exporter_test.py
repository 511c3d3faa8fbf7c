"""The example can be served and used as it stands."""

import socket
from pathlib import Path

from jumpstarter.common.utils import serve
from jumpstarter.config.exporter import ExporterConfigV1Alpha1
from jumpstarter_driver_composite.driver import Composite
from jumpstarter_driver_tftp.client import TftpServerClient
from jumpstarter_driver_tftp.requester import Location, Wishes, get


def test_example_serves(tmp_path: Path):
    text = Path(__file__).with_name("exporter.yaml").read_text(encoding="utf-8")
    # Only what is outside this test's own directory and ports is changed.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    text = text.replace("root_dir: ./tftpboot", f"root_dir: {tmp_path / 'root'}")
    text = text.replace("6969", str(port))
    (tmp_path / "exporter.yaml").write_text(text, encoding="utf-8")
    config = ExporterConfigV1Alpha1.load_path(tmp_path / "exporter.yaml")
    children = {name: entry.instantiate() for name, entry in config.export.items()}
    with serve(Composite(children=children)) as client:
        tftp = client.children["tftp"]
        assert isinstance(tftp, TftpServerClient)
        tftp.storage.write_bytes("boot.img", b"content")
        tftp.start()
        pieces = get(Location("127.0.0.1", port, "boot.img"), Wishes())
        assert b"".join(piece.data for piece in pieces) == b"content"
