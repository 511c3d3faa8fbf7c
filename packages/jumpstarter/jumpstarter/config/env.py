"""The names of the environment variables, and how their text becomes a value.

This module imports no model: shells, clients and the command line use it before they need any.
An empty variable counts as one that is not set.
"""

from collections.abc import Mapping

JUMPSTARTER_HOST = "JUMPSTARTER_HOST"
"""Unix socket path or `host:port` of the session that `j` and `env()` talk to."""

JMP_CLIENT_CONFIG_HOME = "JMP_CLIENT_CONFIG_HOME"
XDG_CONFIG_HOME = "XDG_CONFIG_HOME"
XDG_RUNTIME_DIR = "XDG_RUNTIME_DIR"

JMP_NAMESPACE = "JMP_NAMESPACE"
JMP_NAME = "JMP_NAME"
JMP_ENDPOINT = "JMP_ENDPOINT"
JMP_TOKEN = "JMP_TOKEN"  # noqa: S105 - the name of a variable, not a secret
JMP_REFRESH_TOKEN = "JMP_REFRESH_TOKEN"  # noqa: S105 - the name of a variable, not a secret
JMP_DRIVERS_ALLOW = "JMP_DRIVERS_ALLOW"
JMP_DRIVERS_UNSAFE = "JMP_DRIVERS_UNSAFE"

JMP_DIAL_TIMEOUT = "JMP_DIAL_TIMEOUT"
"""Seconds to go on dialling an exporter; stronger than the client's file."""

JMP_RETRY_TIMEOUT = "JMP_RETRY_TIMEOUT"
"""Seconds to go on retrying the controller; stronger than the client's file."""

JMP_CLIENT = "JMP_CLIENT"
JMP_CLIENT_CONFIG = "JMP_CLIENT_CONFIG"

JMP_LEASE = "JMP_LEASE"
JMP_EXPORTER = "JMP_EXPORTER"
JMP_EXPORTER_LABELS = "JMP_EXPORTER_LABELS"

JMP_GRPC_INSECURE = "JMP_GRPC_INSECURE"
JUMPSTARTER_GRPC_INSECURE = "JUMPSTARTER_GRPC_INSECURE"
JMP_GRPC_PASSPHRASE = "JMP_GRPC_PASSPHRASE"  # noqa: S105 - the name of a variable, not a secret

JMP_OIDC_CALLBACK_PORT = "JMP_OIDC_CALLBACK_PORT"
JMP_OIDC_DEVICE_FLOW = "JMP_OIDC_DEVICE_FLOW"

JMP_DISABLE_COMPRESSION = "JMP_DISABLE_COMPRESSION"
JMP_MOTD_FILE = "JMP_MOTD_FILE"
JMP_SUPPRESS_DRIVER_WARNINGS = "_JMP_SUPPRESS_DRIVER_WARNINGS"
NONINTERACTIVE = "NONINTERACTIVE"
JUMPSTARTER_FORCE_SYSTEM_CERTS = "JUMPSTARTER_FORCE_SYSTEM_CERTS"

UNSAFE = "UNSAFE"
"""The word in JMP_DRIVERS_ALLOW that admits every driver client."""

_WORDS = {
    "true": True,
    "t": True,
    "yes": True,
    "y": True,
    "on": True,
    "1": True,
    "false": False,
    "f": False,
    "no": False,
    "n": False,
    "off": False,
    "0": False,
}


def text(environ: Mapping[str, str], name: str) -> str | None:
    """Return the variable's value, or None when it is not set or empty."""
    return environ.get(name) or None


def flag(environ: Mapping[str, str], name: str) -> bool | None:
    """Return the variable as a truth value, or None when it is not set.

    Raises:
        ValueError: the text is none of the known words.
    """
    value = text(environ, name)
    if value is None:
        return None
    word = _WORDS.get(value.strip().lower())
    if word is None:
        raise ValueError(f"{name} must be true or false, not {value!r}")
    return word


def seconds(environ: Mapping[str, str], name: str, *, at_least: float) -> float | None:
    """Return the variable as a number of seconds, or None when it is not set.

    Raises:
        ValueError: the text is no number, or one below `at_least`.
    """
    value = text(environ, name)
    if value is None:
        return None
    wanted = f"{name} must be a number of seconds, at least {at_least:g}, not {value!r}"
    try:
        number = float(value)
    except ValueError:
        raise ValueError(wanted) from None
    if not at_least <= number < float("inf"):
        raise ValueError(wanted)
    return number


def words(value: str) -> list[str]:
    """Split a comma-separated list; the blanks around each word do not count."""
    return [word.strip() for word in value.split(",")]
