"""From an exporter file that was meant to the configuration in it."""

from jumpstarter.config.exporter import ExporterConfigV1Alpha1

from jumpstarter_cli.exporter_files import ExporterFile


def load(file: ExporterFile) -> ExporterConfigV1Alpha1:
    """Read the file.

    Raises FileNotFoundError when there is none, ConfigurationError when it is wrong.
    """
    if file.path is not None:
        return ExporterConfigV1Alpha1.load_path(file.path)
    return ExporterConfigV1Alpha1.load(file.alias or "default")
