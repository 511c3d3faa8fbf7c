from typing import cast

import pytest
from jsonschema import Draft202012Validator

from jumpstarter.config.documents import parse
from jumpstarter.config.exporter import ExporterConfigV1Alpha1
from jumpstarter.config.exporter_test import FULL
from jumpstarter.config.schema import exporter_json_schema

META = "metadata: {namespace: default, name: bench}\n"


def is_accepted(text: str) -> bool:
    schema = exporter_json_schema()
    Draft202012Validator.check_schema(schema)
    data = cast("dict[str, str]", parse(text).value)
    return Draft202012Validator(schema).is_valid(data)  # pyright: ignore[reportUnknownMemberType] - an overload of the library is untyped


@pytest.mark.parametrize(
    "text",
    [
        FULL,
        META,
        META + "export: {a: {}, b: {ref: a}, c: {type: TcpNetwork}, d: {children: {e: {}}}}\n",
        META + "hooks: {before_lease: {script: x, on_failure: exit, exec_: sh}}\n",
        META + "failureDetection: {max_rapid_failures: 1}\n",
        "metadata: {namespace: null, name: bench}\n",
    ],
)
def test_good_files_are_accepted(text: str) -> None:
    assert is_accepted(text)


def test_what_is_written_is_accepted() -> None:
    config = ExporterConfigV1Alpha1.model_validate(parse(META).value)
    assert is_accepted(ExporterConfigV1Alpha1.dump_yaml(config))


@pytest.mark.parametrize(
    "text",
    [
        "kind: ExporterConfig\n",
        "metadata: {name: bench}\n",
        "metadata: {namespace: a, name: b, labels: {}}\n",
        "kind: ClientConfig\n" + META,
        META + "exprot: {}\n",
        META + "alias: x\n",
        META + "path: x\n",
        META + "failure_detection: {}\n",
        META + "tls: {inscure: true}\n",
        META + "failureDetection: {max: 1}\n",
        META + "hooks: {beforeLeese: {script: x}}\n",
        META + "hooks: {beforeLease: {script: x, onFailure: stop}}\n",
        META + "hooks: {beforeLease: {}}\n",
        META + "export: {a: {typ: x}}\n",
        META + "export: {a: {type: x, confg: {}}}\n",
        META + "export: {a: {ref: b, children: {}}}\n",
        META + "export: {a: {children: {b: {confg: {}}}}}\n",
        META + "export: {a: }\n",
    ],
)
def test_bad_files_are_marked(text: str) -> None:
    assert not is_accepted(text)


def test_the_schema_names_its_draft_and_offers_the_installed_drivers() -> None:
    schema = exporter_json_schema(["TcpNetwork"])
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    definitions = cast("dict[str, dict[str, dict[str, object]]]", schema["$defs"])
    driver = definitions["ExporterConfigV1Alpha1DriverInstanceBase"]["properties"]["type"]
    assert cast("dict[str, object]", driver)["examples"] == ["TcpNetwork"]
    assert "TcpNetwork" not in str(exporter_json_schema())


def test_every_key_is_described() -> None:
    schema = exporter_json_schema()
    definitions = cast("dict[str, dict[str, object]]", schema["$defs"])
    for definition in (schema, *definitions.values()):
        properties = cast("dict[str, dict[str, object]]", definition.get("properties", {}))
        assert [name for name, value in properties.items() if "description" not in value] == []
