"""The file of an administrator: which controller, and who is trusted with it.

The controller writes it into its data directory at each start. It holds a secret that opens
everything, so it is only read where its path was given, or in the user's own directory.
"""

import os
from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator

from jumpstarter.config import files, locations
from jumpstarter.config.documents import dump
from jumpstarter.config.findings import Location
from jumpstarter.config.loading import field_keys, read_document, validated
from jumpstarter.config.metadata import API_VERSION, ObjectMeta
from jumpstarter.config.options import GrpcOptions
from jumpstarter.config.problems import suggestion
from jumpstarter.config.tls import TLSConfigV1Alpha1

__all__ = ["AdminConfig"]


class AdminConfig(BaseModel):
    """An administrator of the namespace `metadata.namespace`."""

    model_config = ConfigDict(
        extra="forbid", title="Jumpstarter administrator", hide_input_in_errors=True
    )

    DEFAULT_PATH: ClassVar[Path] = locations.CONFIG_PATH / "admin.yaml"

    apiVersion: Literal["jumpstarter.dev/v1alpha1"] = API_VERSION  # noqa: N815 - the file's key
    kind: Literal["AdminConfig"] = "AdminConfig"
    metadata: ObjectMeta
    endpoint: str
    tls: TLSConfigV1Alpha1 = Field(default_factory=TLSConfigV1Alpha1)
    token: str = Field(repr=False)
    grpcOptions: GrpcOptions = Field(default_factory=dict[str, str | int])  # noqa: N815 - the file's key
    path: Path | None = Field(default=None, exclude=True)

    @field_validator("metadata")
    @classmethod
    def _has_namespace(cls, metadata: ObjectMeta) -> ObjectMeta:
        if not metadata.namespace:
            raise ValueError("needs a namespace: an administrator acts in one")
        return metadata

    @property
    def namespace(self) -> str:
        """The namespace in which the administrator acts."""
        return self.metadata.namespace or ""

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None) -> Self:
        """Read a file, by default that of the user.

        Raises:
            jumpstarter.model.errors.FileNotFoundError: there is no such file.
            ConfigurationError: it cannot be read, or is wrong.
        """
        file = cls.DEFAULT_PATH if path is None else Path(path)
        return validated(cls, read_document(file), file, _key_hint, {"path": file})

    @classmethod
    def save(cls, config: Self, path: str | os.PathLike[str] | None = None) -> Path:
        """Write the configuration to `path`, by default to the file of the user, with mode 0600.

        Raises:
            ConfigurationError: the file cannot be written.
        """
        target = cls.DEFAULT_PATH if path is None else Path(path)
        files.write_text(target, dump(config.model_dump(mode="json")))
        config.path = target
        return target


def _key_hint(location: Location) -> str:
    section = AdminConfig if len(location) == 1 else ObjectMeta
    known = [key for key in field_keys(section) if key != "path"]
    return suggestion(str(location[-1]), known)
