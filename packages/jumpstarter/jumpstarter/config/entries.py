"""The three forms of an entry under `export`: a driver, a composite, a proxy.

The keys of an entry decide its form, nothing else does: `type` makes a driver, otherwise `ref`
makes a proxy, otherwise it is a composite. So an error names the key that is wrong in that form.
"""

from pathlib import Path
from typing import Annotated, Self, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    RootModel,
    SerializerFunctionWrapHandler,
    Tag,
    ValidationError,
    model_serializer,
    model_validator,
)

from jumpstarter.config import files
from jumpstarter.config.documents import DocumentError, parse
from jumpstarter.config.findings import (
    COMPOSITE,
    DRIVER,
    PROXY,
    Location,
    validation_problems,
)
from jumpstarter.config.problems import as_mapping, failure, suggestion


class ExporterConfigV1Alpha1DriverInstanceBase(BaseModel):
    """An entry that names a driver."""

    model_config = ConfigDict(extra="forbid", title="driver", hide_input_in_errors=True)

    type: str = Field(
        min_length=1,
        description="Dotted path of the driver's class, or the short name of an installed driver.",
    )
    description: str | None = Field(default=None, description="Shown in the help of `j`.")
    methods_description: dict[str, str] = Field(
        default_factory=dict, description="Method name to the help text of its command."
    )
    config: dict[str, object] = Field(
        default_factory=dict, description="Fields of the driver; `jmp driver show` lists them."
    )
    children: "dict[str, ExporterConfigV1Alpha1DriverInstance]" = Field(
        default_factory=lambda: dict[str, "ExporterConfigV1Alpha1DriverInstance"](),
        description="Drivers below this one, by name.",
    )

    @model_validator(mode="before")
    @classmethod
    def _without_ref(cls, data: object) -> object:
        given = as_mapping(data)
        if given is None or "ref" not in given:
            return data
        every = cast("dict[object, object]", data)
        return {key: value for key, value in every.items() if key != "ref"}


class ExporterConfigV1Alpha1DriverInstanceComposite(BaseModel):
    """An entry that only groups others."""

    model_config = ConfigDict(extra="forbid", title="composite", hide_input_in_errors=True)

    description: str | None = Field(default=None, description="Shown in the help of `j`.")
    children: "dict[str, ExporterConfigV1Alpha1DriverInstance]" = Field(
        default_factory=lambda: dict[str, "ExporterConfigV1Alpha1DriverInstance"](),
        description="Drivers in this group, by name.",
    )

    @model_serializer(mode="wrap")
    def _without_null_description(self, write: SerializerFunctionWrapHandler) -> dict[str, object]:
        written = cast("dict[str, object]", write(self))
        if self.description is None:
            written.pop("description", None)
        return written


class ExporterConfigV1Alpha1DriverInstanceProxy(BaseModel):
    """An entry that stands for another one."""

    model_config = ConfigDict(extra="forbid", title="proxy", hide_input_in_errors=True)

    ref: str = Field(
        min_length=1, description="Names from the root to the other entry, joined by dots."
    )


def entry_form(entry: object) -> str | None:
    """Return which of the forms an entry has, or None when it is no mapping."""
    match entry:
        case ExporterConfigV1Alpha1DriverInstanceBase():
            return DRIVER
        case ExporterConfigV1Alpha1DriverInstanceComposite():
            return COMPOSITE
        case ExporterConfigV1Alpha1DriverInstanceProxy():
            return PROXY
        case _:
            keys = as_mapping(entry)
    if keys is None:
        return None
    if "type" in keys:
        return DRIVER
    return PROXY if "ref" in keys else COMPOSITE


_Entry = Annotated[
    Annotated[ExporterConfigV1Alpha1DriverInstanceBase, Tag(DRIVER)]
    | Annotated[ExporterConfigV1Alpha1DriverInstanceComposite, Tag(COMPOSITE)]
    | Annotated[ExporterConfigV1Alpha1DriverInstanceProxy, Tag(PROXY)],
    Discriminator(entry_form, custom_error_type="entry", custom_error_message="Not an entry"),
]


class ExporterConfigV1Alpha1DriverInstance(RootModel[_Entry]):
    """An entry under `export` or `children`; `root` is one of the three forms."""

    model_config = ConfigDict(title="entry", hide_input_in_errors=True)

    @classmethod
    def from_path(cls, path: str | Path) -> Self:
        """Read a file that holds a single entry.

        Raises:
            jumpstarter.model.errors.FileNotFoundError: there is no such file.
            ConfigurationError: the file cannot be read or is no entry.
        """
        return cls._parse(files.read_text(Path(path)), Path(path))

    @classmethod
    def from_str(cls, config: str) -> Self:
        """Read a text that holds a single entry.

        Raises:
            ConfigurationError: the text is no entry.
        """
        return cls._parse(config, None)

    def instantiate(self):  # noqa: ANN201 - inferred: the type lives in the layer above
        """Build the driver and those below it.

        Raises:
            ConfigurationError: a driver is not installed, or does not accept its configuration.
        """
        from jumpstarter import local  # noqa: PLC0415 - builds what this only describes

        return local.instantiate(self)

    @classmethod
    def _parse(cls, text: str, path: Path | None) -> Self:
        try:
            document = parse(text)
        except DocumentError as error:
            raise failure([error.problem], path) from None
        try:
            return cls.model_validate(document.value)
        except ValidationError as error:
            found = validation_problems(error, document, entry_key_hint)
            raise failure(found, path) from None


def entry_key_hint(location: Location) -> str:
    """Say what to write instead of the unknown key of an entry at this location."""
    key = str(location[-1])
    form = next(part for part in reversed(location[:-1]) if part in {DRIVER, COMPOSITE, PROXY})
    if form == PROXY:
        return "an entry with ref takes no other key"
    driver_keys = list(ExporterConfigV1Alpha1DriverInstanceBase.model_fields)
    if form == COMPOSITE and key in driver_keys:
        return "add the key type to make this a driver"
    return suggestion(key, driver_keys if form == DRIVER else [*driver_keys, "ref"])
