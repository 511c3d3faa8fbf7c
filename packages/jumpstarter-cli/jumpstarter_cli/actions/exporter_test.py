import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from jumpstarter_cli.conftest import HEAD, LAMP, Desk

WRONG = f"""\
{HEAD}
exprot: {{}}
export:
  lamp:
    type: jumpstarter_cli.lamp_test.Lump
  other:
    type: jumpstarter_cli.lamp_test.Lamp
    config:
      log_level: 5
      wats: 5
hooks:
  beforeLease: {{script: "true", timeout: soon}}
"""


def test_good_file_has_nothing_wrong(desk: Desk):
    file = desk.file(LAMP)
    done = desk.jmp("exporter", "check", file)
    assert (done.code, done.out, done.err) == (0, f"{file}: nothing wrong\n", "")


def test_every_mistake_is_told_with_its_line(desk: Desk):
    file = desk.file(WRONG)
    done = desk.jmp("exporter", "check", file)
    assert done.code == 1
    assert done.err == ""
    places = [line.removeprefix(f"{file}:").split()[:2] for line in done.out.splitlines()]
    assert places == [
        ["3:", "exprot"],
        ["6:", "export.lamp.type"],
        ["10:", "export.other.config.log_level"],
        ["11:", "export.other.config.wats"],
        ["13:", "hooks.beforeLease.timeout"],
    ]


@pytest.mark.parametrize(("form", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_problems_are_data_too(form: str, read: Callable[[str], Any], desk: Desk):
    file = desk.file(WRONG)
    done = desk.jmp("exporter", "check", file, "-o", form)
    assert done.code == 1
    data = read(done.out)
    assert data["file"] == file
    assert [problem["line"] for problem in data["problems"]] == [3, 6, 10, 11, 13]
    assert set(data["problems"][0]) == {"line", "column", "where", "message", "hint"}


def test_data_of_a_good_file_is_empty(desk: Desk):
    file = desk.file(LAMP)
    done = desk.jmp("exporter", "check", file, "-o", "json")
    assert (done.code, json.loads(done.out)) == (0, {"file": file, "problems": []})


def test_schema_is_json_and_offers_the_installed_drivers(desk: Desk):
    desk.install("lamp-driver", "[jumpstarter.drivers]\nLamp = jumpstarter_cli.lamp_test:Lamp\n")
    schema = json.loads(desk.jmp("exporter", "schema").out)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    driver = schema["$defs"]["ExporterConfigV1Alpha1DriverInstanceBase"]
    assert "Lamp" in driver["properties"]["type"]["examples"]
