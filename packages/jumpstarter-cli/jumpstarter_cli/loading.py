"""From the exporter file that was meant to what it says, and to what is wrong with it."""

from collections.abc import Generator
from contextlib import contextmanager

from jumpstarter.config.check import check_exporter_file
from jumpstarter.config.exporter import ExporterConfigV1Alpha1
from jumpstarter.config.problems import failure
from jumpstarter.model.errors import ConfigurationError

from jumpstarter_cli.drivers.checking import check_driver
from jumpstarter_cli.exporter_files import ExporterFile


def load(file: ExporterFile) -> ExporterConfigV1Alpha1:
    """Read the file.

    Raises FileNotFoundError when there is none, ConfigurationError when it is wrong.
    """
    if file.path is not None:
        return ExporterConfigV1Alpha1.load_path(file.path)
    return ExporterConfigV1Alpha1.load(file.alias or "default")


@contextmanager
def explained(config: ExporterConfigV1Alpha1) -> Generator[None]:
    """Build the drivers of `config` inside: when that fails, the error names the line of the file.

    Raises ConfigurationError, as what is inside does. Only where the file alone does not tell why,
    such as for a device that is not there, the error stays as it is.
    """
    try:
        yield
    except ConfigurationError:
        if config.path is None:
            raise
        problems = check_exporter_file(config.path, check_driver)
        found = [problem for problem in problems if problem.where.startswith("export.")]
        if not found:
            raise
        see_all = f"`jmp exporter check {config.path}`"
        raise failure(found, config.path, see_all) from None
