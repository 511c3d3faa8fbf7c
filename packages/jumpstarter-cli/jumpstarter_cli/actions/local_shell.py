"""A shell on an exporter that runs here, for as long as the shell."""

from collections.abc import Sequence

from jumpstarter.local import launch_shell, local_session

from jumpstarter_cli.exporter_files import ExporterFile
from jumpstarter_cli.interrupts import interruptible
from jumpstarter_cli.loading import explained, load
from jumpstarter_cli.logs import show_hooks


def local_shell(file: ExporterFile, command: Sequence[str]) -> int:
    """Serve the exporter with its hooks around a shell or command; return that one's exit code.

    Raises ConfigurationError for a wrong file, HookExecutionError when a hook must stop it.
    """
    config = load(file)
    show_hooks()
    with interruptible(), explained(config), local_session(config) as session:
        return launch_shell(
            str(session.path),
            "local",
            allow=(),
            unsafe=True,
            use_profiles=False,
            command=command,
            motd=session.motd,
        )
