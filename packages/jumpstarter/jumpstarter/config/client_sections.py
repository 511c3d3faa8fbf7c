"""The sections of a client's file: which driver clients may be loaded, and how long to wait.

The environment fills what the file leaves out, except for the two time limits of a connection:
there the command line is stronger than the environment, and the environment than the file.
"""

import os
from collections.abc import Mapping
from typing import Annotated, Self, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from jumpstarter.config import env
from jumpstarter.config.findings import TOLD
from jumpstarter.config.metadata import filled
from jumpstarter.model.errors import ConfigurationError

LEAST_DIAL_SECONDS = 5.0


def _patterns(value: object) -> object:
    return env.words(value) if isinstance(value, str) else value


class ClientConfigV1Alpha1Drivers(BaseModel):
    """Which classes that an exporter names may be imported by this client."""

    model_config = ConfigDict(extra="forbid", title="drivers")

    allow: Annotated[list[str], BeforeValidator(_patterns)] = Field(
        default_factory=list[str],
        description="Patterns of the class paths that may be loaded, such as `mylab.*`.",
    )
    unsafe: bool = Field(default=False, description="Load whatever an exporter names.")

    @model_validator(mode="before")
    @classmethod
    def _fill_from_environment(cls, data: object) -> object:
        data = filled(data, {"allow": env.JMP_DRIVERS_ALLOW}, os.environ)
        if not isinstance(data, Mapping) or "unsafe" in data:
            return cast("object", data)
        try:
            unsafe = env.flag(os.environ, env.JMP_DRIVERS_UNSAFE)
        except ValueError as error:
            raise PydanticCustomError(TOLD, "{line}", {"line": str(error)}) from None
        given = cast("Mapping[object, object]", data)
        return given if unsafe is None else {**given, "unsafe": unsafe}

    @model_validator(mode="after")
    def _obey_the_word(self) -> Self:
        self.unsafe = self.unsafe or env.UNSAFE in self.allow
        return self


class ClientConfigV1Alpha1Lease(BaseModel):
    """How long to wait for an exporter. All in seconds."""

    model_config = ConfigDict(extra="forbid", title="leases")

    acquisition_timeout: int = Field(
        default=7200, ge=5, description="Seconds to wait for a free exporter."
    )
    dial_timeout: float = Field(
        default=60.0,
        ge=LEAST_DIAL_SECONDS,
        allow_inf_nan=False,
        description="Seconds to go on dialling an exporter that is not reached.",
    )
    retry_timeout: float = Field(
        default=300.0,
        ge=0,
        allow_inf_nan=False,
        description="Seconds to go on asking a controller that does not answer.",
    )

    def dial_seconds(
        self, option: float | None = None, environ: Mapping[str, str] = os.environ
    ) -> float:
        """Return how long to dial: `option`, else JMP_DIAL_TIMEOUT, else the file's value.

        Raises:
            ConfigurationError: the variable holds no such number.
        """
        limits = (env.JMP_DIAL_TIMEOUT, LEAST_DIAL_SECONDS)
        return _strongest(option, environ, limits, self.dial_timeout)

    def retry_seconds(
        self, option: float | None = None, environ: Mapping[str, str] = os.environ
    ) -> float:
        """Return how long to retry: `option`, else JMP_RETRY_TIMEOUT, else the file's value.

        Raises:
            ConfigurationError: the variable holds no such number.
        """
        return _strongest(option, environ, (env.JMP_RETRY_TIMEOUT, 0.0), self.retry_timeout)


def _strongest(
    option: float | None, environ: Mapping[str, str], variable: tuple[str, float], file: float
) -> float:
    if option is not None:
        return option
    name, least = variable
    try:
        found = env.seconds(environ, name, at_least=least)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    return file if found is None else found
