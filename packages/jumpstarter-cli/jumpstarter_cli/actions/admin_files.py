"""The files of clients and exporters on this machine, which an administrator makes and removes.

A file is known by an alias, which is the name of the client or exporter; but a file of that alias
may be another lab's, and is never touched then.
"""

from pathlib import Path
from typing import TypeAlias

from jumpstarter.client.administered import Credential
from jumpstarter.config.client import ClientConfigV1Alpha1, UserConfigV1Alpha1
from jumpstarter.config.exporter import ExporterConfigV1Alpha1
from jumpstarter.model.errors import ConfigurationError

from jumpstarter_cli.saving import refuse_to_replace, save_client

Config: TypeAlias = ClientConfigV1Alpha1 | ExporterConfigV1Alpha1
ConfigType: TypeAlias = type[ClientConfigV1Alpha1] | type[ExporterConfigV1Alpha1]

KINDS: dict[str, ConfigType] = {
    "client": ClientConfigV1Alpha1,
    "exporter": ExporterConfigV1Alpha1,
}


def refuse_existing(kind: str, name: str, out: Path | None) -> None:
    """Raise ConfigurationError when the file that is to be written exists already."""
    if kind == "client":
        refuse_to_replace(name, out)
    elif out is not None and out.exists():
        raise ConfigurationError(f"'{out}' exists; choose another file, or remove it")
    elif out is None and ExporterConfigV1Alpha1.user_config_exists(name):
        raise ConfigurationError(
            f"exporter '{name}' exists; `jmp config exporter delete {name}` removes it"
        )


def write(config: Config, out: Path | None) -> Path:
    """Write the file, and return where; the first client becomes the current one."""
    if isinstance(config, ClientConfigV1Alpha1):
        return save_client(config, out)
    return ExporterConfigV1Alpha1.save(config, out)


def found(kind: str, name: str, out: Path | None = None) -> Config | None:
    """Return what the file at `out`, else the file of the alias, says; None without one.

    Raises ConfigurationError when it is wrong.
    """
    if kind == "client":
        if out is not None:
            return ClientConfigV1Alpha1.from_file(out) if out.exists() else None
        exists = ClientConfigV1Alpha1.exists(name)
        return ClientConfigV1Alpha1.load(name) if exists else None
    if out is not None:
        return ExporterConfigV1Alpha1.load_path(out) if out.exists() else None
    exists = ExporterConfigV1Alpha1.user_config_exists(name)
    return ExporterConfigV1Alpha1.load(name) if exists else None


def is_of(config: Config, name: str, namespace: str) -> bool:
    """Return whether a file is that of the client or exporter of this name."""
    return (config.metadata.name, config.metadata.namespace) == (name, namespace)


def renewed(config: Config, credential: Credential) -> Config:
    """Return `config` with the token of `credential`, and with where it is good."""
    tls = credential.tls.model_copy(update={"insecure": config.tls.insecure})
    update = {"token": credential.token, "endpoint": credential.endpoint, "tls": tls}
    return config.model_copy(update=update)


def remove(kind: str, name: str) -> Path:
    """Delete the file of an alias, and return where it was.

    When it was that of the current client, there is none from then on.
    """
    path = KINDS[kind].delete(name)
    if kind == "client" and UserConfigV1Alpha1.exists():
        user = UserConfigV1Alpha1.load()
        if user.config.current_client is None:
            user.use_client(None)
    return path
