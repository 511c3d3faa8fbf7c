"""The name of an exporter or client, as its file states it.

What the file leaves out is filled from the environment; what it says is stronger.
"""

import os
from collections.abc import Mapping
from typing import cast

from pydantic import BaseModel, ConfigDict, Field, model_validator

from jumpstarter.config import env

API_VERSION = "jumpstarter.dev/v1alpha1"


class ObjectMeta(BaseModel):
    """Namespace and name of an exporter or client."""

    model_config = ConfigDict(extra="forbid", title="metadata")

    namespace: str | None = Field(description="Namespace; null where there is none.")
    name: str = Field(description="Name, unique in its namespace.")

    @model_validator(mode="before")
    @classmethod
    def _fill_from_environment(cls, data: object) -> object:
        return filled(data, {"namespace": env.JMP_NAMESPACE, "name": env.JMP_NAME}, os.environ)


def filled(data: object, variables: Mapping[str, str], environ: Mapping[str, str]) -> object:
    """Return `data` with each absent key taken from its variable, where that is set.

    Args:
        data: what is to be validated; anything but a mapping is returned as it is.
        variables: key to name of the variable.
        environ: the environment.
    """
    if not isinstance(data, Mapping):
        return data
    given = cast("Mapping[object, object]", data)
    found = {key: env.text(environ, name) for key, name in variables.items() if key not in given}
    return {**given, **{key: value for key, value in found.items() if value is not None}}
