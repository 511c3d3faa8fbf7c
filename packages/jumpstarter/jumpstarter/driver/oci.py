"""Credentials for OCI registries, found where other container tools keep them.

The first source that names a user and a password wins: the caller, the environment, then the
authentication files of containers and Docker. A source that is incomplete or unreadable is passed
over with a warning, except what the caller gave: half a credential there is an error.
"""

import base64
import binascii
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from pydantic import (
    BaseModel,
    ConfigDict,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

__all__ = [
    "OciCredentials",
    "resolve_oci_credentials",
    "read_auth_file_credentials",
    "parse_oci_registry",
]

logger = logging.getLogger(__name__)

_DOCKER_HUB = "docker.io"
# Docker keeps the login for its hub under the address of an interface that no longer exists.
_DOCKER_HUB_NAMES = frozenset({_DOCKER_HUB, "index.docker.io", "registry-1.docker.io"})


_HALF = "OCI authentication requires both username and password"


class OciCredentials(BaseModel):
    """A user name and a password, or neither; blank ones count as absent.

    Giving only one of the two raises ValueError.
    """

    # An error that quoted its input would print the password.
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    username: str | None = None
    password: SecretStr | None = None

    @field_validator("username", mode="after")
    @classmethod
    def _blank_username_is_none(cls, value: str | None) -> str | None:
        return (value or "").strip() or None

    @field_validator("password", mode="after")
    @classmethod
    def _blank_password_is_none(cls, value: SecretStr | None) -> SecretStr | None:
        text = "" if value is None else value.get_secret_value().strip()
        return SecretStr(text) if text else None

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError(_HALF)
        return self

    @property
    def plain_password(self) -> str | None:
        """The password itself, to hand to a registry."""
        return None if self.password is None else self.password.get_secret_value()

    @property
    def is_authenticated(self) -> bool:
        """Whether there is anything to authenticate with."""
        return self.username is not None


def resolve_oci_credentials(
    oci_url: str, username: str | None = None, password: str | None = None
) -> OciCredentials:
    """Return the credentials for the registry of `oci_url`, anonymous ones if none are found.

    Sources in order: the arguments, OCI_USERNAME and OCI_PASSWORD, the authentication files.
    Raises ValueError when only one of `username` and `password` is given.
    """
    try:
        given = _credentials(username, password)
    except ValidationError:
        raise ValueError(_HALF) from None
    if given.is_authenticated:
        return given
    from_environment = _environment_credentials()
    if from_environment.is_authenticated:
        return from_environment
    return read_auth_file_credentials(oci_url)


def read_auth_file_credentials(oci_url: str) -> OciCredentials:
    """Return what the first authentication file says of this image, or anonymous credentials.

    A file may have an entry for the registry and others for paths in it; the longest one that
    covers the image counts.
    """
    keys = _entry_names(oci_url)
    for path in _auth_files():
        entries = _read_entries(path)
        for key in keys:
            found = _decode(entries[key], key, path) if key in entries else OciCredentials()
            if found.is_authenticated:
                return found
    return OciCredentials()


def parse_oci_registry(oci_url: str) -> str:
    """Return the registry `host[:port]` of an image reference, with or without `oci://`.

    A reference that begins with no host name, like `alpine` or `library/alpine`, is on docker.io.
    """
    return _split_reference(oci_url)[0]


def _credentials(username: str | None, password: str | None) -> OciCredentials:
    secret = None if password is None else SecretStr(password)
    return OciCredentials(username=username, password=secret)


def _environment_credentials() -> OciCredentials:
    try:
        return _credentials(os.environ.get("OCI_USERNAME"), os.environ.get("OCI_PASSWORD"))
    except ValidationError:
        logger.warning("only one of OCI_USERNAME and OCI_PASSWORD is set: ignoring it")
        return OciCredentials()


def _split_reference(oci_url: str) -> tuple[str, list[str]]:
    """Return the registry and the path components of an image, without tag and digest."""
    reference = oci_url.removeprefix("oci://").split("@", maxsplit=1)[0]
    host, slash, rest = reference.partition("/")
    is_host = bool(slash) and ("." in host or ":" in host or host == "localhost")
    if not is_host:
        host, rest = _DOCKER_HUB, reference
    path = rest.split(":", maxsplit=1)[0]
    return host, [part for part in path.split("/") if part]


def _entry_names(oci_url: str) -> list[str]:
    """Return the names under which a file may hold credentials for an image, best first."""
    host, path = _split_reference(oci_url)
    names = _DOCKER_HUB_NAMES | {host} if host in _DOCKER_HUB_NAMES else {host}
    return [
        "/".join([name, *path[:length]])
        for length in range(len(path), -1, -1)
        for name in sorted(names, key=lambda name: (name != host, name))
    ]


def _auth_files() -> Iterator[Path]:
    """Yield the places of authentication files, in the order in which they count."""
    environ = os.environ
    if path := environ.get("REGISTRY_AUTH_FILE"):
        yield Path(path)
    if directory := environ.get("XDG_RUNTIME_DIR"):
        yield Path(directory, "containers", "auth.json")
    yield Path("~/.config/containers/auth.json").expanduser()
    if directory := environ.get("DOCKER_CONFIG"):
        yield Path(directory, "config.json")
    yield Path("~/.docker/config.json").expanduser()


class _Entry(BaseModel):
    """What a file says of one registry; a token or a credential store is not of use here."""

    auth: str | None = None
    username: str | None = None
    password: SecretStr | None = None


class _AuthFile(BaseModel):
    auths: dict[str, _Entry] = {}


def _read_entries(path: Path) -> dict[str, _Entry]:
    """Return the entries of a file by host and path, or none if it is absent or not usable."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        logger.warning("cannot read registry credentials: %s", error)
        return {}
    try:
        entries = _AuthFile.model_validate_json(content).auths
    except ValidationError as error:
        # Not the error's own text: it quotes the content, which is secret.
        logger.warning(
            "ignoring registry credentials in %s: %d faults in it", path, error.error_count()
        )
        return {}
    return {_entry_name(key): entry for key, entry in entries.items()}


def _entry_name(key: str) -> str:
    """Return `host[/path]` of a key, which may be written as a URL with an interface version."""
    host = key.removeprefix("https://").removeprefix("http://").rstrip("/")
    return host.removesuffix("/v1").removesuffix("/v2")


def _decode(entry: _Entry, key: str, path: Path) -> OciCredentials:
    try:
        if entry.auth is None:
            return OciCredentials(username=entry.username, password=entry.password)
        plain = base64.b64decode(entry.auth, validate=True).decode()
        username, _, password = plain.partition(":")
        return _credentials(username, password)
    except (binascii.Error, UnicodeDecodeError, ValidationError):
        logger.warning("ignoring the registry credentials for %s in %s: not readable", key, path)
        return OciCredentials()
