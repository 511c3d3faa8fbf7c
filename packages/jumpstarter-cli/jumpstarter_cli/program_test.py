import json
import sys
from collections.abc import Iterator

import click
import pytest

from .conftest import LAMP, Desk
from .groups import ALIASES
from .jmp import COMMANDS, jmp

HEAVY = {
    "anyio",
    "asyncio",
    "google.protobuf",
    "grpc",
    "importlib.metadata",
    "jumpstarter.config.exporter",
    "pydantic",
    "rich",
    "yaml",
}
PLUGIN = """\
[jumpstarter.commands]
lamp = lamp_commands:lamp
torn = lamp_commands:torn
odd = lamp_commands:odd
gone = no_such_module:gone
version = lamp_commands:lamp
"""
PLUGIN_MODULE = """\
import click

@click.command()
@click.argument("name")
def lamp(name):
    "Light a lamp"
    click.echo(f"lit {name}")
    return 4

odd = 3

def __getattr__(name):
    raise ZeroDivisionError("no\\nlight")
"""


def tree(command: click.Command, *names: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield names, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from tree(child, *names, name)


def loaded_modules(desk: Desk, *args: str, env: dict[str, str] | None = None) -> set[str]:
    """Return what is imported when `jmp` has done its work."""
    script = "\n".join(
        (
            "import atexit, sys",
            "atexit.register(lambda: print('\\n' + ' '.join(sys.modules), file=sys.stderr))",
            "from jumpstarter_cli.jmp import jmp",
            f"jmp({list(args)!r}, prog_name='jmp')",
        )
    )
    done = desk.run(sys.executable, "-c", script, env=env)
    assert done.code == 0, done.err
    return set(done.err.splitlines()[-1].split())


def install_plugin(desk: Desk) -> None:
    desk.install("lamp-tools", PLUGIN)
    (desk.site / "lamp_commands.py").write_text(PLUGIN_MODULE, encoding="utf-8")


def test_static_helps_are_those_of_the_commands():
    helps = {names[0]: c for names, c in tree(jmp) if len(names) == 1}
    assert set(helps) == set(COMMANDS)
    assert {name: command.get_short_help_str(200) for name, command in helps.items()} == COMMANDS


def test_every_command_has_help_and_every_option_too():
    for names, command in tree(jmp):
        assert command.help, names
        for parameter in command.params:
            assert isinstance(parameter, click.Argument) or getattr(parameter, "help", None), names


def test_help_loads_no_command_and_nothing_heavy(desk: Desk):
    loaded = loaded_modules(desk, "--help")
    assert "click" in loaded
    assert not loaded & HEAVY
    assert not {name for name in loaded if name.startswith("jumpstarter_cli.commands.")}


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_help_of_a_command_loads_nothing_heavy(command: str, desk: Desk):
    assert not loaded_modules(desk, command, "--help") & HEAVY


@pytest.mark.parametrize("words", ["jmp ", "jmp shell --client ", "jmp config exporter "])
def test_completing_loads_nothing_heavy(words: str, desk: Desk):
    env = {
        "_JMP_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split())),
    }
    assert not loaded_modules(desk, env=env) & HEAVY


def test_without_arguments_the_help_is_shown_as_a_usage_error(desk: Desk):
    done = desk.jmp()
    assert (done.code, done.out) == (2, "")
    assert "completion  Print the script" in done.err


def test_group_without_arguments_shows_its_help(desk: Desk):
    done = desk.jmp("config", "exporter")
    assert done.code == 2
    assert "Manage exporter files" in done.err


@pytest.mark.parametrize(
    "words",
    [
        ("config", "exporter", "list"),
        ("conf", "exporters", "ls"),
        ("conf", "e", "ls"),
        ("config", "e", "list"),
    ],
)
def test_short_names_lead_to_the_same_command(words: tuple[str, ...], desk: Desk):
    done = desk.jmp(*words)
    assert (done.code, done.out) == (0, "No resources found.\n")


def test_every_short_name_of_a_command_here_is_found():
    context = click.Context(jmp)
    own = set(COMMANDS)
    here = {alias: ({alias} & own) or (set(names) & own) for alias, names in ALIASES.items()}
    assert {"a", "c", "d", "sh", "s", "ver", "v", "conf", "e", "exporters", "g"} <= {
        alias for alias, names in here.items() if names
    }
    for alias, names in here.items():
        found = jmp.get_command(context, alias)
        assert (found and {str(found.name)}) == (names or None)


def test_short_names_of_the_commands_about_leases():
    context = click.Context(jmp)
    for group, alias, name in [
        ("g", "e", "exporters"),
        ("get", "exporter", "exporters"),
        ("get", "l", "leases"),
        ("get", "lease", "leases"),
        ("c", "leases", "lease"),
        ("del", "lease", "leases"),
        ("update", "leases", "lease"),
        ("conf", "clients", "client"),
        ("conf", "c", "client"),
    ]:
        found = jmp.get_command(context, group)
        assert isinstance(found, click.Group)
        command = found.get_command(context, alias)
        assert command is not None
        assert command.name == name


def test_unknown_command_is_one_line(desk: Desk):
    done = desk.jmp("shel")
    assert done.code == 2
    assert done.out == ""
    assert done.err.startswith("Error: No such command 'shel'.")
    assert done.err.endswith("Try 'jmp --help'.\n")
    assert done.err.count("\n") == 1


def test_command_of_another_package_is_listed_and_runs(desk: Desk):
    install_plugin(desk)
    listed = desk.jmp("--help")
    assert listed.code == 0
    assert "lamp        Command of lamp-tools." in listed.out
    assert listed.err == ""
    done = desk.jmp("lamp", "desk")
    assert (done.code, done.out, done.err) == (4, "lit desk\n", "")


def test_our_own_command_hides_a_foreign_one_of_its_name(desk: Desk):
    install_plugin(desk)
    assert desk.jmp("version").out.startswith("Jumpstarter v")
    assert "version     Print the version." in desk.jmp("--help").out


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("torn", "lamp_commands:torn: ZeroDivisionError: no light"),
        ("odd", "lamp_commands:odd: it is no click command"),
        ("gone", "no_such_module:gone: ModuleNotFoundError: No module named 'no_such_module'"),
    ],
)
def test_foreign_command_that_cannot_be_loaded_is_one_line(name: str, reason: str, desk: Desk):
    install_plugin(desk)
    done = desk.jmp(name)
    assert done.code == 1
    assert done.err == (
        f"Error: the command '{name}' cannot be loaded from {reason}; "
        "update or remove the package that adds it\n"
    )


def test_version_is_that_of_the_package(desk: Desk):
    text = desk.jmp("version").out
    data = json.loads(desk.jmp("version", "-o", "json").out)
    assert set(data) == {"gitVersion", "pythonVersion"}
    assert text.startswith(f"Jumpstarter v{data['gitVersion']} from ")
    assert f"gitVersion: {data['gitVersion']}\n" in desk.jmp("version", "-o", "yaml").out


def test_debug_level_shows_where_an_error_comes_from(desk: Desk):
    plain = desk.jmp("shell", "--exporter-config", "none.yaml")
    debug = desk.jmp("--log-level", "debug", "shell", "--exporter-config", "none.yaml")
    assert "Traceback" not in plain.err
    assert "Traceback" in debug.err
    assert debug.err.endswith(plain.err)


def test_records_of_drivers_are_shown_when_they_are_asked_for(desk: Desk):
    file = desk.file(LAMP)
    words = ("shell", "--exporter-config", file, "--", "true")
    assert desk.jmp(*words).err == ""
    assert "DEBUG" in desk.jmp("--log-level", "DEBUG", *words).err
