"""Every exporter file in the repository, and every one that a README shows, passes the check."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted([*ROOT.glob("examples/**/*.yaml"), *ROOT.glob("packages/*/examples/*.yaml")])
PAGES = sorted([*ROOT.glob("packages/*/README.md"), *ROOT.glob("docs/reference/*.md")])
SHOWN = [
    (page, block)
    for page in PAGES
    for block in re.findall(
        r"^```yaml\n(.*?^export:$.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S
    )
]
HEAD = "metadata: {namespace: null, name: shown}\n"


def check(file: Path) -> None:
    jmp = Path(sys.executable).parent / "jmp"
    done = subprocess.run(
        [jmp, "exporter", "check", file],
        env={**os.environ, "PYTHONPATH": str(file.parent)},  # a driver may be beside the file
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_example_passes_the_check(file: Path):
    check(file)


@pytest.mark.parametrize(("page", "block"), SHOWN, ids=[page.parent.name for page, _ in SHOWN])
def test_file_in_a_page_passes_the_check(page: Path, block: str, tmp_path: Path):
    file = tmp_path / f"{page.stem}.yaml"
    file.write_text(block if "metadata:" in block else HEAD + block, encoding="utf-8")
    check(file)
