"""What can be checked here of the files that install a lab: systemd's check, and their commands.

No service is started: that needs a machine that systemd runs.
"""

import configparser
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from jumpstarter_cli.jmp import jmp

HERE = Path(__file__).parent
UNITS = sorted(HERE.glob("*.service"))
INSTALLED = "/opt/jumpstarter/bin/jmp"


def section(unit: Path, name: str) -> dict[str, str]:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # pyright: ignore[reportAttributeAccessIssue] - as configparser says
    parser.read(unit, encoding="utf-8")
    return dict(parser[name])


def parsed(words: list[str]) -> dict[str, object]:
    """Return the parameters of a command of `jmp`; fails for what it does not know."""
    command: click.Command = jmp
    while isinstance(command, click.Group):
        context = click.Context(command)
        _, words, _ = command.make_parser(context).parse_args(words)
        found = command.get_command(context, words[0])
        assert found is not None, words
        command, words = found, words[1:]
    return command.make_context(command.name, words).params


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_finds_nothing_wrong(unit: Path, tmp_path: Path):
    # It looks whether the program is there, which is so where the unit is installed.
    text = unit.read_text(encoding="utf-8")
    assert text.count(INSTALLED) == 1
    copy = tmp_path / unit.name.replace("@", "@one")
    copy.write_text(text.replace(INSTALLED, sys.executable), encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)],
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    complaints = [line for line in done.stderr.splitlines() if unit.stem.rstrip("@") in line]
    assert (done.returncode, complaints) == (0, [])


def test_the_lab_is_shut_in():
    service = section(HERE / "jumpstarter-lab.service", "Service")
    assert service["Type"] == "notify"
    for key in ("DynamicUser", "NoNewPrivileges", "PrivateTmp", "RestrictNamespaces"):
        assert service[key] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert service["CapabilityBoundingSet"] == ""
    assert service["StateDirectoryMode"] == "0700"


def test_the_units_give_options_that_there_are():
    lab = shlex.split(section(HERE / "jumpstarter-lab.service", "Service")["ExecStart"])
    assert lab[0] == INSTALLED
    assert parsed(lab[1:-1])["data"] == Path("${STATE_DIRECTORY}")
    exporter = shlex.split(section(HERE / "jumpstarter-exporter@.service", "Service")["ExecStart"])
    assert parsed(exporter[1:])["exporter"] == "%i"


def test_the_container_gives_options_that_there_are_and_is_not_root():
    text = (HERE / "Containerfile").read_text(encoding="utf-8").replace("\\\n", "")
    (entry,) = re.findall(r"^ENTRYPOINT \[(.*)\]$", text, re.MULTILINE)
    words = [word.strip().strip('"') for word in entry.split(",")]
    assert words[0] == "jmp"
    found = parsed(words[1:])
    assert found["data"] == Path("/var/lib/jumpstarter")
    assert str(found["login"]).endswith(":8085")
    assert "readyz" in text
    assert re.findall(r"^USER (.*)$", text, re.MULTILINE) == ["10001:10001"]
    assert text.index("USER 10001") < text.index("ENTRYPOINT")
