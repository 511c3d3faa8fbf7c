"""The configurations of a client, their files, and which of them is the current one.

What a file says is stronger than the environment, which only fills what is absent. A key that
nobody knows is an error. Both kinds of file are in this module, because a list of clients marks the
current one, and the user's file holds a client. `jumpstarter.config.user` is the public path of the
second kind.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self, cast

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from jumpstarter.config import env, files, locations
from jumpstarter.config.client_access import ClientAccess
from jumpstarter.config.client_sections import (
    ClientConfigV1Alpha1Drivers,
    ClientConfigV1Alpha1Lease,
)
from jumpstarter.config.documents import dump, parse
from jumpstarter.config.findings import TOLD, Location, validation_problems
from jumpstarter.config.loading import field_keys, read_document, validated
from jumpstarter.config.metadata import API_VERSION, ObjectMeta, filled
from jumpstarter.config.problems import failure, suggestion
from jumpstarter.config.shell import ShellConfigV1Alpha1
from jumpstarter.config.tls import TLSConfigV1Alpha1
from jumpstarter.model.errors import ConfigurationError

__all__ = [
    "ClientConfigListV1Alpha1",
    "ClientConfigV1Alpha1",
    "ClientConfigV1Alpha1Drivers",
    "ClientConfigV1Alpha1Lease",
    "ObjectMeta",
    "ShellConfigV1Alpha1",
    "TLSConfigV1Alpha1",
    "UserConfigV1Alpha1",
    "UserConfigV1Alpha1Config",
]

_INTERNAL = {"alias", "path"}
_LISTING = "jmp config client list"


class ClientConfigV1Alpha1(ClientAccess):
    """A client: who it is, which controller it uses, which driver clients it may load."""

    CLIENT_CONFIGS_PATH: ClassVar[Path] = locations.CONFIG_PATH / "clients"

    @model_validator(mode="before")
    @classmethod
    def _fill_from_environment(cls, data: object) -> object:
        data = filled(data, _VARIABLES, os.environ)
        if not isinstance(data, Mapping):
            return data
        # An absent section is built from an empty one, so that its own variables are looked at,
        # and what is wrong in them is told like everything else.
        sections: dict[object, object] = {"drivers": {}}
        if env.text(os.environ, env.JMP_NAME) or env.text(os.environ, env.JMP_NAMESPACE):
            sections["metadata"] = {}
        return {**sections, **cast("Mapping[object, object]", data)}

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Self:
        """Read a file.

        Raises:
            jumpstarter.model.errors.FileNotFoundError: there is no such file.
            ConfigurationError: it cannot be read, or is wrong.
        """
        file = Path(path)
        own = {"alias": locations.alias_of(file), "path": file}
        return validated(cls, read_document(file), file, client_key_hint, own)

    @classmethod
    def load(cls, alias: str) -> Self:
        """Read the alias's file.

        Raises:
            jumpstarter.model.errors.FileNotFoundError: the alias has none.
            ConfigurationError: it is no alias, or the file is wrong.
        """
        path = cls._existing_path(alias)
        config = cls.from_file(path)
        config.alias = alias
        return config

    @classmethod
    def from_env(cls) -> Self:
        """Build a configuration from the environment alone.

        Raises:
            ConfigurationError: JMP_NAMESPACE or JMP_NAME is not set, or a variable is wrong.
        """
        needed = (env.JMP_NAMESPACE, env.JMP_NAME)
        absent = [name for name in needed if env.text(os.environ, name) is None]
        if absent:
            raise ConfigurationError(
                f"the environment describes no client: {' and '.join(absent)} not set; "
                "set it, or name a client configuration"
            )
        try:
            return cls.model_validate({})
        except ValidationError as error:
            raise failure(validation_problems(error, parse(""), client_key_hint), None) from None

    @classmethod
    def try_from_env(cls) -> Self | None:
        """Build a configuration from the environment; None when it names no client.

        Raises:
            ConfigurationError: it names one, but a variable is wrong.
        """
        if env.text(os.environ, env.JMP_NAMESPACE) and env.text(os.environ, env.JMP_NAME):
            return cls.from_env()
        return None

    @classmethod
    def ensure_exists(cls) -> None:
        """Create the directory of client files.

        Raises:
            ConfigurationError: it cannot be created.
        """
        files.make_directory(cls.CLIENT_CONFIGS_PATH)

    @classmethod
    def exists(cls, alias: str) -> bool:
        """Say whether the alias has a file.

        Raises:
            ConfigurationError: it is no alias.
        """
        return locations.exists(cls._path_of(alias))

    @classmethod
    def list(cls) -> "ClientConfigListV1Alpha1":
        """Read all files, by alias, and which of them is current.

        Raises:
            ConfigurationError: one of them is wrong.
        """
        current = None
        if UserConfigV1Alpha1.exists():
            chosen = UserConfigV1Alpha1.load().config.current_client
            current = None if chosen is None else chosen.alias
        paths = files.listed(cls.CLIENT_CONFIGS_PATH, locations.SUFFIX)
        return ClientConfigListV1Alpha1(
            current_config=current, items=[cls.from_file(path) for path in paths]
        )

    @classmethod
    def dump_yaml(cls, config: Self) -> str:
        """Return the configuration as YAML, without the refresh token.

        Raises:
            ConfigurationError: it holds a value that no file can.
        """
        return _client_text(config, _INTERNAL | {"refresh_token"})

    @classmethod
    def save(cls, config: Self, path: str | os.PathLike[str] | None = None) -> Path:
        """Write the configuration to `path`, else to the file of its alias.

        Raises:
            ConfigurationError: its alias is none, or the file cannot be written.
        """
        target = cls._path_of(config.alias) if path is None else Path(path)
        files.write_text(target, _client_text(config, _INTERNAL))
        config.path = target
        return target

    @classmethod
    def delete(cls, alias: str) -> Path:
        """Remove the alias's file, and return where it was.

        Raises:
            jumpstarter.model.errors.FileNotFoundError: the alias has none.
            ConfigurationError: it is no alias, or the file cannot be removed.
        """
        path = cls._existing_path(alias)
        files.delete(path)
        return path

    @classmethod
    def _path_of(cls, alias: str) -> Path:
        if not locations.is_alias(alias):
            raise ConfigurationError(
                f"{alias!r} is no client alias; use a name without path separators"
            )
        return cls.CLIENT_CONFIGS_PATH / f"{alias}{locations.SUFFIX}"

    @classmethod
    def _existing_path(cls, alias: str) -> Path:
        path = cls._path_of(alias)
        if not locations.exists(path):
            raise locations.missing("client", alias, path, _LISTING)
        return path


class ClientConfigListV1Alpha1(BaseModel):
    """All client configurations of this machine's user."""

    model_config = ConfigDict(populate_by_name=True)

    api_version: Literal["jumpstarter.dev/v1alpha1"] = Field(
        default=API_VERSION, serialization_alias="apiVersion"
    )
    current_config: str | None = Field(
        default=None,
        validation_alias=AliasChoices("currentConfig", "current_config"),
        serialization_alias="currentConfig",
    )
    items: list[ClientConfigV1Alpha1]
    kind: Literal["ClientConfigList"] = "ClientConfigList"

    def dump_json(self) -> str:
        """Return the list as JSON, without tokens."""
        return self.model_dump_json(indent=4, by_alias=True, exclude=_LIST_SECRETS)

    def dump_yaml(self) -> str:
        """Return the list as YAML, without tokens."""
        return dump(self.model_dump(mode="json", by_alias=True, exclude=_LIST_SECRETS))


def _current_client(value: object) -> object:
    if value is None or isinstance(value, ClientConfigV1Alpha1):
        return value
    if not isinstance(value, str) or not locations.is_alias(value):
        raise ValueError("must be the alias of a client, or null")
    if not ClientConfigV1Alpha1.exists(value):
        return None
    try:
        return ClientConfigV1Alpha1.load(value)
    except ConfigurationError as error:
        raise PydanticCustomError(TOLD, "{line}", {"line": error.message}) from None


def _alias(config: ClientConfigV1Alpha1 | None) -> str | None:
    return None if config is None else config.alias


class UserConfigV1Alpha1Config(BaseModel):
    """What the user has chosen."""

    model_config = ConfigDict(hide_input_in_errors=True)

    current_client: Annotated[
        ClientConfigV1Alpha1 | None, BeforeValidator(_current_client), PlainSerializer(_alias)
    ] = Field(
        default=None,
        validation_alias=AliasChoices("current-client", "current_client"),
        serialization_alias="current-client",
    )


class UserConfigV1Alpha1(BaseModel):
    """The user's own file: which client is the current one."""

    BASE_CONFIG_PATH: ClassVar[Path] = locations.CONFIG_PATH
    USER_CONFIG_PATH: ClassVar[Path] = locations.CONFIG_PATH / "config.yaml"

    apiVersion: Literal["jumpstarter.dev/v1alpha1"] = API_VERSION  # noqa: N815 - the file's key
    kind: Literal["UserConfig"] = "UserConfig"
    config: UserConfigV1Alpha1Config

    @classmethod
    def exists(cls) -> bool:
        """Say whether the user has such a file."""
        return locations.exists(cls.USER_CONFIG_PATH)

    @classmethod
    def load(cls) -> Self:
        """Read the file; a current client that has no file any more is read as none.

        Raises:
            jumpstarter.model.errors.FileNotFoundError: there is no such file.
            ConfigurationError: it, or the file of the current client, is wrong.
        """
        path = cls.USER_CONFIG_PATH
        return validated(cls, read_document(path), path, lambda _: "")

    @classmethod
    def load_or_create(cls) -> Self:
        """Read the file, after writing one without a current client where there is none.

        Raises:
            ConfigurationError: it is wrong, or cannot be written.
        """
        if not cls.exists():
            cls.save(cls(config=UserConfigV1Alpha1Config()))
        return cls.load()

    @classmethod
    def save(cls, config: Self, path: str | os.PathLike[str] | None = None) -> Path:
        """Write the configuration to `path`, else to the user's file.

        Raises:
            ConfigurationError: the file cannot be written.
        """
        target = cls.USER_CONFIG_PATH if path is None else Path(path)
        files.write_text(target, dump(config.model_dump(mode="json", by_alias=True)))
        return target

    def use_client(self, name: str | None) -> Path | None:
        """Make the client of this alias current, or none, and return its file.

        Raises:
            jumpstarter.model.errors.FileNotFoundError: the alias has no file; nothing changes.
            ConfigurationError: its file is wrong, or the user's cannot be written.
        """
        self.config.current_client = None if name is None else ClientConfigV1Alpha1.load(name)
        self.save(self)
        return None if self.config.current_client is None else self.config.current_client.path


def client_key_hint(location: Location) -> str:
    """Say what to write instead of the unknown key of a client file at this location."""
    section = ClientConfigV1Alpha1 if len(location) == 1 else _SECTIONS.get(location[0])
    known = [key for key in field_keys(section) if key not in _INTERNAL] if section else []
    return suggestion(str(location[-1]), known)


def _client_text(config: ClientConfigV1Alpha1, exclude: set[str]) -> str:
    if config.leases == ClientConfigV1Alpha1Lease():
        exclude = exclude | {"leases"}
    data = config.model_dump(mode="json", by_alias=True, exclude=exclude, exclude_none=True)
    # A file without the namespace could not be read again where the environment has none.
    data["metadata"] = config.metadata.model_dump()
    return dump(data)


_VARIABLES = {
    "endpoint": env.JMP_ENDPOINT,
    "token": env.JMP_TOKEN,
    "refresh_token": env.JMP_REFRESH_TOKEN,
}
_SECTIONS: dict[str | int, type[BaseModel]] = {
    "metadata": ObjectMeta,
    "drivers": ClientConfigV1Alpha1Drivers,
    "leases": ClientConfigV1Alpha1Lease,
}
_LIST_SECRETS = {"items": {"__all__": {"token", "refresh_token"}}}
