"""The configuration of an exporter, and its files.

A key at the top that nobody knows is reported and ignored, so that a file of a newer release still
serves; below the top an unknown key is an error, because ignoring it would change the device.
The user's own directory is stronger than the system's, and the only one ever written to.
"""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from jumpstarter.config import files, locations
from jumpstarter.config.documents import Document, dump
from jumpstarter.config.entries import (
    ExporterConfigV1Alpha1DriverInstance,
    ExporterConfigV1Alpha1DriverInstanceBase,
    ExporterConfigV1Alpha1DriverInstanceComposite,
    ExporterConfigV1Alpha1DriverInstanceProxy,
    entry_key_hint,
)
from jumpstarter.config.findings import Location
from jumpstarter.config.hooks import HookConfigV1Alpha1, HookInstanceConfigV1Alpha1
from jumpstarter.config.loading import field_keys, read_document, validated
from jumpstarter.config.metadata import API_VERSION, ObjectMeta
from jumpstarter.config.options import GrpcOptions
from jumpstarter.config.problems import Problem, as_mapping, dotted, suggestion
from jumpstarter.config.tls import TLSConfigV1Alpha1
from jumpstarter.model.errors import ConfigurationError

__all__ = [
    "ExporterConfigListV1Alpha1",
    "ExporterConfigV1Alpha1",
    "ExporterConfigV1Alpha1DriverInstance",
    "ExporterConfigV1Alpha1DriverInstanceBase",
    "ExporterConfigV1Alpha1DriverInstanceComposite",
    "ExporterConfigV1Alpha1DriverInstanceProxy",
    "FailureDetectionConfigV1Alpha1",
    "HookConfigV1Alpha1",
    "HookInstanceConfigV1Alpha1",
    "ObjectMeta",
    "exporter_key_hint",
    "ignored_keys",
]

logger = logging.getLogger(__name__)

_INTERNAL = {"alias", "path"}


class FailureDetectionConfigV1Alpha1(BaseModel):
    """When an exporter that keeps failing gives up."""

    model_config = ConfigDict(extra="forbid", title="failureDetection")

    max_rapid_failures: int = Field(
        default=5,
        ge=0,
        validation_alias=AliasChoices("maxRapidFailures", "max_rapid_failures"),
        serialization_alias="maxRapidFailures",
        description="How many failures within the window stop the exporter.",
    )
    rapid_failure_window: int = Field(
        default=60,
        ge=0,
        validation_alias=AliasChoices("rapidFailureWindow", "rapid_failure_window"),
        serialization_alias="rapidFailureWindow",
        description="Seconds in which failures are counted.",
    )


class ExporterConfigV1Alpha1(BaseModel):
    """An exporter: who it is, which drivers it serves, what runs around a lease."""

    model_config = ConfigDict(title="Jumpstarter exporter", hide_input_in_errors=True)

    BASE_PATH: ClassVar[Path] = locations.CONFIG_PATH / "exporters"
    SYSTEM_CONFIG_PATH: ClassVar[Path] = locations.SYSTEM_PATH / "exporters"

    alias: str = "default"
    apiVersion: Literal["jumpstarter.dev/v1alpha1"] = Field(  # noqa: N815 - the file's key
        default=API_VERSION, description="Version of this format."
    )
    kind: Literal["ExporterConfig"] = Field(
        default="ExporterConfig", description="What this file describes."
    )
    metadata: ObjectMeta = Field(description="Namespace and name of the exporter.")
    endpoint: str | None = Field(
        default=None, description="Controller, `host:port`; not needed without one."
    )
    tls: TLSConfigV1Alpha1 = Field(
        default_factory=TLSConfigV1Alpha1, description="How the controller is verified."
    )
    token: str | None = Field(
        default=None, repr=False, description="Secret that the controller gave to this exporter."
    )
    grpcOptions: GrpcOptions = Field(  # noqa: N815 - the file's key
        default_factory=dict[str, str | int],
        description="gRPC channel options, added to the defaults.",
    )
    description: str | None = Field(
        default=None, description="Shown in the help of `j` for the exporter as a whole."
    )
    motd: str | None = Field(
        default=None, description="Shown to those who enter an interactive shell."
    )
    export: dict[str, ExporterConfigV1Alpha1DriverInstance] = Field(
        default_factory=dict[str, ExporterConfigV1Alpha1DriverInstance],
        description="The drivers, by name.",
    )
    hooks: HookConfigV1Alpha1 = Field(
        default_factory=HookConfigV1Alpha1, description="Scripts that run around a lease."
    )
    failure_detection: FailureDetectionConfigV1Alpha1 = Field(
        default_factory=FailureDetectionConfigV1Alpha1,
        alias="failureDetection",
        description="How many failures in a row stop the exporter.",
    )
    exit_on_lease_end: bool = Field(
        default=False, alias="exitOnLeaseEnd", description="Stop when the lease has ended."
    )
    path: Path | None = None

    @classmethod
    def validate_alias(cls, alias: str) -> None:
        """Refuse an alias that would name a file outside the directory.

        Raises:
            ConfigurationError: it has a path separator, or is empty, `.` or `..`.
        """
        if not locations.is_alias(alias):
            raise ConfigurationError(
                f"{alias!r} is no exporter alias; use a name without path separators"
            )

    @classmethod
    def resolve_path(cls, alias: str) -> Path:
        """Return the alias's file: the user's, else the system's, else where the user's would be.

        Raises:
            ConfigurationError: it is no alias.
        """
        own = cls._user_path(alias)
        system = cls.SYSTEM_CONFIG_PATH / own.name
        return system if not locations.exists(own) and locations.exists(system) else own

    @classmethod
    def exists(cls, alias: str) -> bool:
        """Say whether the alias has a file, the user's or the system's.

        Raises:
            ConfigurationError: it is no alias.
        """
        return locations.exists(cls.resolve_path(alias))

    @classmethod
    def user_config_exists(cls, alias: str) -> bool:
        """Say whether the alias has a file in the user's directory.

        Raises:
            ConfigurationError: it is no alias.
        """
        return locations.exists(cls._user_path(alias))

    @classmethod
    def load(cls, alias: str) -> Self:
        """Read the alias's file.

        Raises:
            jumpstarter.model.errors.FileNotFoundError: the alias has none.
            ConfigurationError: it is no alias, or the file is wrong.
        """
        path = cls.resolve_path(alias)
        if not locations.exists(path):
            raise locations.missing("exporter", alias, path, "jmp config exporter list")
        config = cls.load_path(path)
        config.alias = alias
        return config

    @classmethod
    def load_path(cls, path: Path) -> Self:
        """Read a file; what it says without effect is logged as a warning.

        Raises:
            jumpstarter.model.errors.FileNotFoundError: there is no such file.
            ConfigurationError: it cannot be read, or is wrong.
        """
        path = Path(path)
        document = read_document(path)
        config = cls._build(document, path, "default")
        for problem in (*ignored_keys(document), *document.duplicates):
            logger.warning("%s", problem.text(path))
        return config

    @classmethod
    def list(cls) -> "ExporterConfigListV1Alpha1":
        """Read all files, by alias; the user's hides the system's of the same alias.

        Raises:
            ConfigurationError: one of them is wrong.
        """
        system = files.listed(cls.SYSTEM_CONFIG_PATH, locations.SUFFIX)
        own = files.listed(cls.BASE_PATH, locations.SUFFIX)
        paths = {path.stem: path for path in (*system, *own)}
        return ExporterConfigListV1Alpha1(
            items=[
                cls._build(read_document(path), path, alias)
                for alias, path in sorted(paths.items())
            ]
        )

    @classmethod
    def dump_yaml(cls, config: Self) -> str:
        """Return the text of the configuration's file, the token included.

        Raises:
            ConfigurationError: a driver's config holds a value that no file can.
        """
        try:
            return dump(config.model_dump(by_alias=True, exclude=_INTERNAL))
        except ValueError as error:
            raise ConfigurationError(f"exporter '{config.alias}': {error}") from None

    @classmethod
    def save(cls, config: Self, path: str | Path | None = None) -> Path:
        """Write the configuration to `path`, else to the user's file for its alias.

        Raises:
            ConfigurationError: its alias is none, or the file cannot be written.
        """
        target = cls._user_path(config.alias) if path is None else Path(path)
        files.write_text(target, cls.dump_yaml(config))
        config.path = target
        return target

    @classmethod
    def delete(cls, alias: str) -> Path:
        """Remove the alias's file from the user's directory, and return where it was.

        Raises:
            jumpstarter.model.errors.FileNotFoundError: the alias has no file.
            ConfigurationError: the file is the system's, or cannot be removed.
        """
        path = cls.resolve_path(alias)
        if path.parent != cls.BASE_PATH:
            raise ConfigurationError(
                f"exporter '{alias}' stands in '{path}', which belongs to the system; "
                "remove it there"
            )
        if not locations.exists(path):
            raise locations.missing("exporter", alias, path, "jmp config exporter list")
        files.delete(path)
        return path

    def serve_unix(self):  # noqa: ANN201 - inferred: the type lives in the layer above
        """Serve the drivers on a Unix socket while the context lasts; it yields the path."""
        from jumpstarter import local  # noqa: PLC0415 - builds what this only describes

        return local.serve_exporter_unix(self)

    def serve_unix_async(self):  # noqa: ANN201 - inferred: the type lives in the layer above
        """Do as `serve_unix`, on the running event loop."""
        from jumpstarter import local  # noqa: PLC0415 - builds what this only describes

        return local.serve_exporter_unix_async(self)

    def create_exporter(self, *, standalone: bool = False):  # noqa: ANN201 - inferred: the type lives in the layer above
        """Yield the exporter while the context lasts; `standalone` serves without a controller."""
        from jumpstarter import local  # noqa: PLC0415 - builds what this only describes

        return local.create_exporter(self, standalone=standalone)

    def serve(self):  # noqa: ANN201 - inferred: the type lives in the layer above
        """Serve the leases of the controller, for ever; returns what is to be awaited."""
        from jumpstarter import local  # noqa: PLC0415 - builds what this only describes

        return local.serve_exporter(self)

    @classmethod
    def _user_path(cls, alias: str) -> Path:
        cls.validate_alias(alias)
        return cls.BASE_PATH / f"{alias}{locations.SUFFIX}"

    @classmethod
    def _build(cls, document: Document, path: Path, alias: str) -> Self:
        own = {"alias": alias, "path": path}
        see_all = f"`jmp exporter check {path}`"
        return validated(cls, document, path, exporter_key_hint, own, see_all)


class ExporterConfigListV1Alpha1(BaseModel):
    """All exporter configurations of this machine's user."""

    api_version: Literal["jumpstarter.dev/v1alpha1"] = Field(
        default=API_VERSION, alias="apiVersion"
    )
    items: list[ExporterConfigV1Alpha1]
    kind: Literal["ExporterConfigList"] = "ExporterConfigList"

    def dump_json(self) -> str:
        """Return the list as JSON, without tokens."""
        return self.model_dump_json(indent=4, by_alias=True, exclude=_LIST_SECRETS)

    def dump_yaml(self) -> str:
        """Return the list as YAML, without tokens."""
        return dump(self.model_dump(mode="json", by_alias=True, exclude=_LIST_SECRETS))


def exporter_key_hint(location: Location) -> str:
    """Say what to write instead of the unknown key of an exporter file at this location."""
    if location[0] == "export":
        return entry_key_hint(location)
    in_hook = location[0] == "hooks" and location[1:-1]
    section = HookInstanceConfigV1Alpha1 if in_hook else _SECTIONS.get(location[0])
    return suggestion(str(location[-1]), field_keys(section)) if section else ""


def ignored_keys(document: Document) -> Iterable[Problem]:
    """Return a problem for each key of an exporter file that has no effect."""
    top = as_mapping(document.value) or {}
    known = [key for key in field_keys(ExporterConfigV1Alpha1) if key not in _INTERNAL]
    yield from _unknown(document, (), top, known)
    tls = as_mapping(top.get("tls")) or {}
    yield from _unknown(document, ("tls",), tls, list(field_keys(TLSConfigV1Alpha1)))


def _unknown(
    document: Document, path: Location, given: Iterable[str], known: "list[str]"
) -> Iterable[Problem]:
    for key in given:
        if key not in known:
            line, column = document.position((*path, key))
            yield Problem(
                line=line,
                column=column,
                where=dotted((*path, key)),
                message="is not a known key and has no effect",
                hint=suggestion(key, known),
            )


_SECTIONS: dict[str | int, type[BaseModel]] = {
    "metadata": ObjectMeta,
    "hooks": HookConfigV1Alpha1,
    "failureDetection": FailureDetectionConfigV1Alpha1,
}
_LIST_SECRETS = {"items": {"__all__": {"token"}}}
