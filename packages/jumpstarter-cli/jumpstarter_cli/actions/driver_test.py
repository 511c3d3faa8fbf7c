import json
import re

import pytest
import yaml

from jumpstarter_cli.conftest import Desk

LAMPS = "jumpstarter_cli.lamp_test"
FOREIGN = "jumpstarter_driver_qqq.driver"
DRIVERS = """\
[jumpstarter.drivers]
Lamp = jumpstarter_cli.lamp_test:Lamp
Torn = no_such_module:Torn
Odd = jumpstarter_cli.lamp_test:LampClient
"""


def install(desk: Desk) -> None:
    desk.install("lamp-driver", DRIVERS)


def test_list_shows_what_each_driver_offers(desk: Desk):
    install(desk)
    done = desk.jmp("driver", "list")
    assert done.code == 0
    head, *rows = (line.split(maxsplit=3) for line in done.out.splitlines())
    assert head == ["NAME", "TYPE", "CLIENT", "DESCRIPTION"]
    assert [
        "Lamp",
        "jumpstarter_cli.lamp_test.Lamp",
        "jumpstarter_cli.lamp_test.LampClient",
        "A lamp.",
    ] in rows


def test_list_goes_on_after_a_driver_that_cannot_be_used(desk: Desk):
    install(desk)
    items = json.loads(desk.jmp("driver", "list", "-o", "json").out)["items"]
    errors = {item["name"]: item["error"] for item in items}
    assert errors["Lamp"] == ""
    assert errors["Torn"] == "is not installed"
    assert errors["Odd"] == "is not a driver"
    assert yaml.safe_load(desk.jmp("driver", "list", "-o", "yaml").out)["items"] == items


def test_names_are_listed_without_loading_anything(desk: Desk):
    desk.install("trap", "[jumpstarter.drivers]\nTrap = trap:Trap\n")
    (desk.site / "trap.py").write_text("print('loaded')\n", encoding="utf-8")
    assert "Trap" in desk.jmp("driver", "ls", "-o", "name").out.splitlines()
    assert "loaded" not in desk.jmp("driver", "list", "-o", "name").out


def test_show_describes_a_driver_from_its_class(desk: Desk):
    install(desk)
    done = desk.jmp("driver", "show", "Lamp")
    assert done.code == 0
    assert [re.split(r"  +", line.strip()) for line in done.out.splitlines()] == [
        ["Lamp"],
        ["type", "jumpstarter_cli.lamp_test.Lamp"],
        ["client", "jumpstarter_cli.lamp_test.LampClient"],
        ["category", "other"],
        ["package", "lamp-driver 1.2"],
        [""],
        ["A lamp."],
        [""],
        ["It has no switch."],
        [""],
        ["FIELD", "TYPE", "DEFAULT", "DESCRIPTION"],
        ["labels", "dict[str, str]", "{}"],
        ["log_level", "str", "'INFO'", "Level of `logger`."],
        [""],
        ["METHOD", "KIND", "DESCRIPTION"],
        ["on() -> str", "call", "Light it."],
        ["shatter() -> None", "call", "Fail as a driver does."],
        ["vanish() -> None", "call", "End the exporter without a word."],
        ["whisper() -> None", "call", "Write to the log."],
        [
            "burn() -> AsyncGenerator[int, None]",
            "streaming call",
            "Yield an hour, and then wait for ever.",
        ],
    ]


def test_show_takes_a_dotted_path_and_prints_data(desk: Desk):
    done = desk.jmp("driver", "show", "jumpstarter_cli.lamp_test.Lamp", "-o", "json")
    data = json.loads(done.out)
    assert (data["name"], data["package"]) == ("jumpstarter_cli.lamp_test.Lamp", "")
    assert data["fields"][0] == {
        "name": "labels",
        "type": "dict[str, str]",
        "required": False,
        "default": "{}",
        "description": "",
    }
    assert data["methods"][0] == {
        "name": "on",
        "kind": "call",
        "signature": "() -> str",
        "description": "Light it.",
    }


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("Lmap", "Driver 'Lmap' is not installed; did you mean 'Lamp'?"),
        ("Qqqqq", "Driver 'Qqqqq' is not installed; `jmp driver list` shows those that are"),
        (
            f"{LAMPS}.Lmap",
            f"Driver '{LAMPS}.Lmap' is not installed; did you mean '{LAMPS}.Lamp'?",
        ),
        ("Odd", "Driver 'Odd' is not a driver; name a class that extends Driver"),
        (
            f"{FOREIGN}.Q",
            (
                f"Driver '{FOREIGN}.Q' is not installed; "
                "install it with: pip install jumpstarter-driver-qqq"
            ),
        ),
    ],
)
def test_driver_that_cannot_be_shown_is_one_line(name: str, line: str, desk: Desk):
    install(desk)
    done = desk.jmp("driver", "show", name)
    assert (done.code, done.err) == (1, f"Error: {line}\n")
