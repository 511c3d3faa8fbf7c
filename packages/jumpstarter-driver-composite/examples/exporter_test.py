"""The example can be served and used as it stands."""

from pathlib import Path

from jumpstarter.common.utils import serve
from jumpstarter.config.exporter import ExporterConfigV1Alpha1
from jumpstarter_driver_composite.client import CompositeClient
from jumpstarter_driver_composite.driver import Composite


def test_example_serves():
    config = ExporterConfigV1Alpha1.load_path(Path(__file__).with_name("exporter.yaml"))
    children = {name: entry.instantiate() for name, entry in config.export.items()}
    with serve(Composite(children=children)) as client:
        assert isinstance(client, CompositeClient)
        assert client.main_power.uuid == client.board.children["power"].uuid
        assert client.rack.description == "What the boards of this rack share"
        client.main_power.call("on")
