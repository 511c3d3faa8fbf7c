from pathlib import Path

import pytest

from jumpstarter.config import locations


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"JMP_CLIENT_CONFIG_HOME": "/a", "XDG_CONFIG_HOME": "/b"}, "/a"),
        ({"XDG_CONFIG_HOME": "/b"}, "/b/jumpstarter"),
        ({"XDG_CONFIG_HOME": "", "JMP_CLIENT_CONFIG_HOME": ""}, "~/.config/jumpstarter"),
        ({}, "~/.config/jumpstarter"),
    ],
)
def test_configuration_home(environ: dict[str, str], expected: str) -> None:
    assert locations.config_home(environ) == Path(expected).expanduser()


@pytest.mark.parametrize("alias", ["", ".", "..", "a/b", "../a", "/a", "a\\b", "a\0b"])
def test_what_could_leave_the_directory_is_no_alias(alias: str) -> None:
    assert not locations.is_alias(alias)


@pytest.mark.parametrize("alias", ["lab", "my.lab", "..a", "ä b"])
def test_any_plain_name_is_an_alias(alias: str) -> None:
    assert locations.is_alias(alias)


def test_a_client_alias_ends_at_the_first_dot() -> None:
    assert locations.alias_of(Path("/x/lab.old.yaml")) == "lab"


def test_a_name_too_long_for_the_system_does_not_exist(tmp_path: Path) -> None:
    assert not locations.exists(tmp_path / ("x" * 5000))
