"""Completes words in real shells, which source the scripts that `jmp completion` prints."""

from collections.abc import Callable
from typing import TypeAlias

import pytest

from jumpstarter_cli.conftest import LAMP, Desk, listening, program

Completer: TypeAlias = Callable[[Desk, str], list[str]]

BASH = """\
source <(jmp completion bash)
COMP_WORDS=({words})
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
COMP_LINE="${{COMP_WORDS[*]}}"
COMP_POINT=${{#COMP_LINE}}
_{program}_completion {program}
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
ZSH = """\
autoload -Uz compinit && compinit -u
source <(jmp completion zsh)
compadd() {{ while (( $# )); do [[ $1 == -a ]] && print -l -- ${{(P)2}}; shift; done }}
_describe() {{ print -l -- ${{(P)3%%:*}} }}
words=({words})
CURRENT=$#words
${{_comps[{program}]}}
"""
FISH = """\
jmp completion fish | source
complete --do-complete='{line}' | string split --fields 1 \\t
"""


def bash(desk: Desk, line: str) -> list[str]:
    words = " ".join(f"'{word}'" for word in line.split(" "))
    script = BASH.format(words=words, program=line.partition(" ")[0])
    return answers(desk, program("bash"), "--norc", "-c", script)


def zsh(desk: Desk, line: str) -> list[str]:
    words = " ".join(f"'{word}'" for word in line.split(" "))
    script = ZSH.format(words=words, program=line.partition(" ")[0])
    return answers(desk, program("zsh"), "-f", "-c", script)


def fish(desk: Desk, line: str) -> list[str]:
    return answers(desk, program("fish"), "--no-config", "-c", FISH.format(line=line))


def answers(desk: Desk, *argv: str) -> list[str]:
    done = desk.run(*argv)
    assert done.err == ""
    return done.out.split()


SHELLS = pytest.mark.parametrize("complete", [bash, zsh, fish])


@SHELLS
@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "jmp ",
            [
                *("admin", "auth", "completion", "config", "create", "delete", "driver"),
                *("exporter", "get", "lab", "login", "run", "shell", "update", "version", "why"),
            ],
        ),
        ("jmp co", ["completion", "config"]),
        ("jmp config exporter ", ["create", "delete", "edit", "list"]),
        ("jmp shell --exporter ", ["board", "desk"]),
        ("jmp config exporter delete b", ["board"]),
        ("jmp driver list -o ", ["json", "yaml", "name"]),
        ("jmp completion ", ["bash", "zsh", "fish"]),
    ],
)
def test_words_of_jmp_are_completed(complete: Completer, line: str, words: list[str], desk: Desk):
    desk.alias("board", LAMP)
    desk.alias("desk", LAMP)
    assert sorted(complete(desk, line)) == sorted(words)


@SHELLS
def test_commands_of_drivers_are_completed_inside_a_shell(complete: Completer, desk: Desk):
    with listening(desk) as environ:
        desk.environ |= environ
        assert complete(desk, "j ") == ["lamp"]
        assert complete(desk, "j lamp o") == ["on"]


@SHELLS
def test_outside_a_shell_j_completes_nothing(complete: Completer, desk: Desk):
    assert complete(desk, "j la") == []


def test_unknown_shell_is_refused(desk: Desk):
    done = desk.jmp("completion", "csh")
    assert done.code == 2
    assert done.err.count("\n") == 1
