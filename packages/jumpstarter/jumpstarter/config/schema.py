"""The JSON Schema of exporter files, for editors.

It is made from the models, so it cannot say anything else than they do; only in one thing it is
stricter: every unknown key is marked, also where reading a file ignores it.
"""

from collections.abc import Mapping, Sequence
from typing import cast

from pydantic import AliasChoices, BaseModel
from pydantic.json_schema import GenerateJsonSchema

from jumpstarter.config.entries import ExporterConfigV1Alpha1DriverInstanceBase
from jumpstarter.config.exporter import (
    ExporterConfigV1Alpha1,
    FailureDetectionConfigV1Alpha1,
    HookConfigV1Alpha1,
    HookInstanceConfigV1Alpha1,
)

Schema = dict[str, object]

_INTERNAL = ("alias", "path")
_WITH_ALIASES: tuple[type[BaseModel], ...] = (
    HookConfigV1Alpha1,
    HookInstanceConfigV1Alpha1,
    FailureDetectionConfigV1Alpha1,
)


def exporter_json_schema(drivers: Sequence[str] = ()) -> Schema:
    """Return the schema (draft 2020-12) that every good exporter file meets.

    Args:
        drivers: names of installed drivers, offered by editors for `type`.
    """
    schema = cast("Schema", ExporterConfigV1Alpha1.model_json_schema(by_alias=True))
    definitions = cast("dict[str, Schema]", schema["$defs"])
    for definition in (schema, *definitions.values()):
        _close(definition)
    for name in _INTERNAL:
        _properties(schema).pop(name)
    for model in _WITH_ALIASES:
        _add_python_names(_properties(definitions[model.__name__]), model)
    if drivers:
        base = definitions[ExporterConfigV1Alpha1DriverInstanceBase.__name__]
        _properties(base)["type"]["examples"] = list(drivers)
    return {"$schema": GenerateJsonSchema.schema_dialect, **schema}


def _close(definition: Schema) -> None:
    properties = _properties(definition)
    if properties:
        definition["additionalProperties"] = False
    for property_schema in properties.values():
        property_schema.pop("title", None)


def _properties(definition: Mapping[str, object]) -> dict[str, Schema]:
    return cast("dict[str, Schema]", definition.get("properties", {}))


def _add_python_names(properties: dict[str, Schema], model: type[BaseModel]) -> None:
    """Let the second spelling of each key pass, marked as one not to use."""
    for field in model.model_fields.values():
        alias = field.validation_alias
        if isinstance(alias, AliasChoices):
            first, *others = (str(choice) for choice in alias.choices)
            for other in others:
                properties[other] = {**properties[first], "deprecated": True}
