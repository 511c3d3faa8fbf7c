"""The example file builds every driver of this package."""

from pathlib import Path

from jumpstarter import plugins
from jumpstarter.config.exporter import ExporterConfigV1Alpha1

EXAMPLE = Path(__file__).parents[1] / "examples" / "exporter.yaml"


def test_example_has_one_driver_of_each_kind() -> None:
    config = ExporterConfigV1Alpha1.load_path(EXAMPLE)
    built = {type(entry.instantiate()).__name__ for entry in config.export.values()}
    registered = plugins.installed("jumpstarter.drivers")
    own = {
        name
        for name, point in registered.items()
        if point.module.startswith("jumpstarter_driver_network.")
    }
    assert built == own
