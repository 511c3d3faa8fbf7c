import json
import stat
from pathlib import Path

import pytest
import yaml

from jumpstarter_cli.conftest import HEAD, LAMP, Desk

CREATE = ("config", "exporter", "create")


def content(desk: Desk, alias: str) -> dict[str, object]:
    text = (desk.folder / "config" / "exporters" / f"{alias}.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)


def test_created_file_is_private_and_passes_the_check(desk: Desk):
    done = desk.jmp(*CREATE, "desk", "--nointeractive", "-o", "path")
    path = Path(done.out.rstrip("\n"))
    assert done.code == 0
    assert path == desk.folder / "config" / "exporters" / "desk.yaml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert content(desk, "desk")["metadata"] == {"namespace": "default", "name": "desk"}
    assert desk.jmp("exporter", "check", str(path)).code == 0


def test_alias_is_default_and_options_win(desk: Desk):
    options = ("--namespace", "lab", "--name", "one", "--endpoint", "c:1", "--token", "t", "-k")
    done = desk.jmp(*CREATE, *options, "--nointeractive", "-o", "name")
    assert (done.code, done.out) == (0, "default\n")
    found = content(desk, "default")
    assert found["metadata"] == {"namespace": "lab", "name": "one"}
    assert (found["endpoint"], found["token"]) == ("c:1", "t")
    assert found["tls"] == {"ca": "", "insecure": True}


def test_environment_fills_what_no_option_gives(desk: Desk):
    env = {"JMP_NAMESPACE": "lab", "JMP_NAME": "two"}
    assert desk.jmp(*CREATE, "--nointeractive", env=env).code == 0
    assert content(desk, "default")["metadata"] == {"namespace": "lab", "name": "two"}


def test_open_options_are_asked_for_on_standard_error(desk: Desk):
    done = desk.jmp(*CREATE, "desk", "-o", "path", given="lab\n\nhost:1\nsecret\n")
    assert done.code == 0, done.err
    assert done.out.endswith("/config/exporters/desk.yaml\n")
    assert done.out.count("\n") == 1
    assert "Namespace [default]" in done.err
    assert "secret" not in done.err
    found = content(desk, "desk")
    assert found["metadata"] == {"namespace": "lab", "name": "desk"}
    assert (found["endpoint"], found["token"]) == ("host:1", "secret")


def test_token_is_asked_for_with_a_controller_only(desk: Desk):
    assert desk.jmp(*CREATE, given="\n\n\n").code == 0
    assert content(desk, "default")["token"] is None


def test_end_of_the_answers_aborts_and_writes_nothing(desk: Desk):
    done = desk.jmp(*CREATE, given="lab\n")
    assert done.code == 1
    assert done.err.endswith("Error: aborted\n")
    assert not (desk.folder / "config").exists()


def test_unverified_controller_needs_a_yes(desk: Desk):
    options = ("--namespace", "n", "--name", "n", "--endpoint", "e:1", "--token", "t", "-k")
    assert desk.jmp(*CREATE, *options, given="n\n").code == 1
    assert desk.jmp(*CREATE, *options, given="y\n").code == 0


def test_second_file_of_an_alias_is_refused(desk: Desk):
    path = desk.alias("desk", LAMP)
    done = desk.jmp(*CREATE, "desk", "--nointeractive")
    assert done.code == 1
    assert done.err == (
        f"Error: exporter 'desk' exists: open '{path}' with `jmp config exporter edit desk`\n"
    )
    assert path.read_text(encoding="utf-8") == LAMP


@pytest.mark.parametrize("alias", ["../desk", "a/b", "."])
def test_alias_that_leaves_the_folder_is_refused(alias: str, desk: Desk):
    done = desk.jmp(*CREATE, alias, "--nointeractive")
    assert done.code == 1
    assert "is no exporter alias" in done.err


def test_list_shows_aliases_and_paths(desk: Desk):
    second = desk.alias("second", LAMP)
    first = desk.alias("first", "not: [valid")
    done = desk.jmp("config", "exporter", "list")
    assert done.out.splitlines() == [
        "ALIAS   PATH",
        f"first   {first}",
        f"second  {second}",
    ]
    assert desk.jmp("config", "exporter", "list", "-o", "name").out == "first\nsecond\n"
    assert desk.jmp("config", "exporter", "list", "-o", "path").out == f"{first}\n{second}\n"


def test_list_as_data_holds_the_files_without_their_tokens(desk: Desk):
    desk.alias("desk", f"{LAMP}token: secret\n")
    text = desk.jmp("config", "exporter", "list", "-o", "json").out
    data = json.loads(text)
    assert data["kind"] == "ExporterConfigList"
    assert data["items"][0]["alias"] == "desk"
    assert "secret" not in text
    assert yaml.safe_load(desk.jmp("config", "exporter", "list", "-o", "yaml").out) == data


def test_empty_list_is_data_too(desk: Desk):
    assert desk.jmp("config", "exporter", "list").out == "No resources found.\n"
    assert desk.jmp("config", "exporter", "list", "-o", "name").out == ""
    assert json.loads(desk.jmp("config", "exporter", "list", "-o", "json").out)["items"] == []


def test_delete_removes_the_file(desk: Desk):
    path = desk.alias("desk", LAMP)
    done = desk.jmp("config", "exporter", "delete", "desk", "-o", "path")
    assert (done.code, done.out) == (0, f"{path}\n")
    assert not path.exists()
    again = desk.jmp("config", "exporter", "del", "desk")
    assert again.code == 1
    assert again.err.startswith("Error: there is no exporter 'desk': ")


def test_edit_opens_the_file_and_then_checks_it(desk: Desk):
    path = desk.alias("desk", LAMP)
    good = desk.jmp("config", "exporter", "edit", "desk", env={"EDITOR": "sed -i s/desk/board/"})
    assert (good.code, good.out) == (0, f"{path}: nothing wrong\n")
    assert "name: board" in path.read_text(encoding="utf-8")
    bad = desk.jmp("config", "exporter", "edit", "desk", env={"EDITOR": "sed -i s/Lamp/Lump/"})
    assert bad.code == 1
    assert bad.out.startswith(f"{path}:3: export.lamp.type ")


def test_edit_of_an_alias_without_a_file_opens_nothing(desk: Desk):
    done = desk.jmp("config", "exporter", "edit", "none", env={"EDITOR": "false"})
    assert done.code == 1
    assert done.err.startswith("Error: there is no exporter 'none': ")


def test_failing_editor_is_one_line(desk: Desk):
    desk.alias("default", HEAD)
    done = desk.jmp("config", "exporter", "edit", env={"EDITOR": "false"})
    assert done.code == 1
    assert done.err == "Error: false: Editing failed\n"
