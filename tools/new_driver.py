"""Starts a driver package: copies `templates/driver` into `packages/` under a new name.

Rule: the template is a working package called `widget`, so a new name is nothing but that word
replaced in its three spellings.

Usage: python tools/new_driver.py NAME
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "templates" / "driver"
UV = ROOT / ".tools" / "bin" / "uv"
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def renamed(text: str, name: str) -> str:
    """Return `text` of the template with `widget` replaced by `name`, spelled as its place asks."""
    words = name.split("-")
    text = text.replace("jumpstarter-driver-widget", f"jumpstarter-driver-{name}")
    text = text.replace("Widget", "".join(word.capitalize() for word in words))
    return text.replace("widget", "_".join(words))


def copy_template(name: str, target: Path) -> None:
    """Write the package `name` into the new folder `target`."""
    for source in sorted(TEMPLATE.rglob("*")):
        if source.is_dir() or "__pycache__" in source.parts:
            continue
        path = target / renamed(str(source.relative_to(TEMPLATE)), name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink():
            path.symlink_to(source.readlink())
        else:
            path.write_text(renamed(source.read_text(encoding="utf-8"), name), encoding="utf-8")


def main() -> None:
    """Create the package and add it to the lock and the environment."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if not NAME.fullmatch(name):
        sys.exit(f"NAME={name!r} is no name: use small letters, digits and dashes, as in my-board")
    target = ROOT / "packages" / f"jumpstarter-driver-{name}"
    if target.exists():
        sys.exit(f"{target.relative_to(ROOT)} exists: choose another NAME")
    copy_template(name, target)
    ruff = [sys.executable, "-m", "ruff", "format", "--quiet", str(target)]
    for command in (ruff, [str(UV), "lock", "--quiet"], ["make", "--silent", "setup"]):
        subprocess.run(command, cwd=ROOT, check=True)
    print(f"{target.relative_to(ROOT)} is there. Its tests: .venv/bin/python -m pytest {target}")


if __name__ == "__main__":
    main()
