"""Runs what the README and the tutorials show, in order, as a reader would.

Rule: a page is a script. In a new folder with an empty home,

* a block whose first line is a comment with a file name is saved under that name;
* a `{literalinclude}` of a file of this repository saves it under its name;
* a `console` block is typed into bash line by line; what it shows below a `$` line must come out,
  where `…` stands for anything, and the command must succeed unless `echo $?` follows;
* another `python` block is run;
* any other block is only looked at by the reader.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
PAGES = [ROOT / "README.md", *sorted((DOCS / "tutorials").glob("*.md"))]
FENCE = re.compile(r"^```(\w+|{literalinclude} \S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE_NAME = re.compile(r"# ([\w./-]+\.\w+)\n")
MARK = "--- end of command, code"
TIMEOUT = 100
"""Seconds that the commands of a page may take together."""


@dataclass(frozen=True)
class Command:
    """One line typed at the prompt, and what is to come out."""

    line: str
    output: str


def commands(block: str) -> list[Command]:
    """Return the commands of a `console` block."""
    pieces = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    return [Command(*piece.partition("\n")[::2]) for piece in pieces]


def prepare(page: str, folder: Path) -> list[Command]:
    """Save the files that `page` shows, and return its commands."""
    result: list[Command] = []
    for language, block in FENCE.findall(page):
        if language.startswith("{literalinclude}"):
            shutil.copy(DOCS / "tutorials" / language.split()[1], folder)
        elif name := FILE_NAME.match(block):
            path = folder / name[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block, encoding="utf-8")
        elif language == "console":
            result += commands(block)
        elif language == "python":
            result.append(Command(f"python -c {shlex.quote(block)}", ""))
    return result


def script(typed: list[Command]) -> str:
    """Return what to feed to bash: after each command a mark with its exit code, kept in `$?`.

    In the end it stops what the page left in the background.
    """
    mark = f"code=$?; echo; echo '{MARK}' $code; (exit $code)"
    return "".join(f"{command.line}\n{mark}\n" for command in typed) + "kill $(jobs -p)\n"


def play(typed: list[Command], folder: Path) -> list[tuple[str, int]]:
    """Type the commands into one bash, and return the output and exit code of each."""
    environment = {
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "SHELL": "/bin/bash",
        "TERM": "dumb",
    }
    with subprocess.Popen(
        ["bash", "--norc", "--noprofile"],
        cwd=folder,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as bash:
        try:
            output, _ = bash.communicate(script(typed), timeout=TIMEOUT)
        except subprocess.TimeoutExpired as error:
            os.killpg(bash.pid, signal.SIGKILL)
            pytest.fail(f"still busy after {TIMEOUT} s:\n{bytes(error.output or b'').decode()}")
    pieces = re.split(rf"\n{MARK} (\d+)\n", output)
    return [(text, int(code)) for text, code in zip(pieces[::2], pieces[1::2], strict=False)]


def pattern(shown: str) -> str:
    """Return the expression that an output must match to be what a page shows."""
    return r"[\s\S]*?".join(re.escape(part) for part in shown.strip().split("…"))


@pytest.mark.timeout(TIMEOUT + 10)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_does_what_it_shows(page: Path, tmp_path: Path):
    typed = prepare(page.read_text(encoding="utf-8"), tmp_path)
    assert typed, "the page shows no command"
    results = play(typed, tmp_path)
    for number, (command, (output, code)) in enumerate(zip(typed, results, strict=False)):
        said = f"$ {command.line}\n{output}"
        checks_code = typed[number + 1 :] and typed[number + 1].line == "echo $?"
        assert code == 0 or checks_code, f"exit code {code}\n{said}"
        if command.output.strip():
            assert re.fullmatch(pattern(command.output), output.strip()), said
    assert len(results) == len(typed), f"nothing came after: {typed[len(results) - 1].line}"
