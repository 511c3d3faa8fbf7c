"""The example can be served and used as it stands."""

from pathlib import Path

from jumpstarter.common.utils import serve
from jumpstarter.config.exporter import ExporterConfigV1Alpha1
from jumpstarter_driver_power.client import PowerClient


def test_example_serves():
    config = ExporterConfigV1Alpha1.load_path(Path(__file__).with_name("exporter.yaml"))
    with serve(config.export["power"].instantiate()) as client:
        assert isinstance(client, PowerClient)
        client.cycle(wait=0)
        assert [reading.voltage for reading in client.read()] == [0, 5]
