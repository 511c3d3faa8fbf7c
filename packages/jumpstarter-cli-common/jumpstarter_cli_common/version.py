"""The version of the command line, and the command that prints it."""

from importlib.metadata import version as installed_version

from jumpstarter_cli.commands.version import version

__all__ = ["get_client_version", "version"]


def get_client_version() -> str:
    """Return the version."""
    return installed_version("jumpstarter-cli")
