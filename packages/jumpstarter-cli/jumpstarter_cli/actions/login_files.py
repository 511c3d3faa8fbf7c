"""The file that a login writes: that of a client, or of an exporter, new or there already."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from jumpstarter.config.client import (
    ClientConfigV1Alpha1,
    ClientConfigV1Alpha1Drivers,
    ObjectMeta,
)
from jumpstarter.config.exporter import ExporterConfigV1Alpha1
from jumpstarter.config.tls import TLSConfigV1Alpha1

from jumpstarter_cli.saving import save_client


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """What a login has brought."""

    namespace: str | None
    name: str
    endpoint: str
    tls: TLSConfigV1Alpha1
    token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    drivers: ClientConfigV1Alpha1Drivers | None = None


class Identity(Protocol):
    """The part of either kind of configuration that a login is about."""

    metadata: ObjectMeta
    endpoint: str | None
    tls: TLSConfigV1Alpha1
    token: str | None


@dataclass(slots=True)
class LoginFile:
    """The file of `alias`, or at `path`; `before` is what it says already."""

    alias: str
    path: Path | None
    is_exporter: bool
    client: ClientConfigV1Alpha1 | None = None
    exporter: ExporterConfigV1Alpha1 | None = None

    @property
    def before(self) -> Identity | None:
        """What the file says already, or None when there is none."""
        return self.exporter if self.is_exporter else self.client

    def save(self, granted: Granted) -> Path:
        """Write what a login has brought, keep what else the file says, and return where it is."""
        return self._save_exporter(granted) if self.is_exporter else self._save_client(granted)

    def _save_client(self, granted: Granted) -> Path:
        metadata = ObjectMeta(namespace=granted.namespace, name=granted.name)
        config = self.client or ClientConfigV1Alpha1(alias=self.alias, metadata=metadata)
        _put(config, metadata, granted)
        config.refresh_token = granted.refresh_token
        config.drivers = granted.drivers or config.drivers
        return save_client(config, self.path, current=True)

    def _save_exporter(self, granted: Granted) -> Path:
        metadata = ObjectMeta(namespace=granted.namespace, name=granted.name)
        config = self.exporter or ExporterConfigV1Alpha1(alias=self.alias, metadata=metadata)
        _put(config, metadata, granted)
        return ExporterConfigV1Alpha1.save(config, self.path)


def client_file(alias: str, path: Path | None) -> LoginFile:
    """Return the file of a client; raises ConfigurationError when it is there and wrong."""
    file = LoginFile(alias, path, is_exporter=False)
    if path is not None:
        file.client = ClientConfigV1Alpha1.from_file(path) if path.exists() else None
    elif ClientConfigV1Alpha1.exists(alias):
        file.client = ClientConfigV1Alpha1.load(alias)
    return file


def exporter_file(alias: str, path: Path | None) -> LoginFile:
    """Return the file of an exporter; raises ConfigurationError when it is there and wrong."""
    file = LoginFile(alias, path, is_exporter=True)
    if path is not None:
        file.exporter = ExporterConfigV1Alpha1.load_path(path) if path.exists() else None
    elif ExporterConfigV1Alpha1.exists(alias):
        file.exporter = ExporterConfigV1Alpha1.load(alias)
    return file


def _put(config: Identity, metadata: ObjectMeta, granted: Granted) -> None:
    config.metadata, config.endpoint = metadata, granted.endpoint
    config.tls, config.token = granted.tls, granted.token
