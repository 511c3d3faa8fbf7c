"""Checks the import contracts of `pyproject.toml`, and that every package declares what it imports.

Rule: the contracts are about what ships, so import-linter sees a copy of the packages without their
tests. What follows from the packages themselves (their names, the siblings each one declares) is
read from them here, so that a new driver needs no line in a list.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TESTS = shutil.ignore_patterns("*_test.py", "conftest.py", "__pycache__")


def module_name(package: str) -> str:
    """Return the import name of a distribution."""
    return package.replace("-", "_")


def declared(pyproject: Path) -> set[str]:
    """Return the names of the distributions that one package requires, for its extras too."""
    data = tomllib.loads(pyproject.read_text(encoding="utf-8"))
    hook = data["tool"]["hatch"]["metadata"]["hooks"]["custom"]
    extras: dict[str, list[str]] = hook.get("optional-dependencies", {})
    items: list[str] = [
        *hook["dependencies"],
        *(item for extra in extras.values() for item in extra),
    ]
    return {re.split(r"[^A-Za-z0-9._-]", item, maxsplit=1)[0] for item in items}


def undeclared(packages: dict[str, set[str]]) -> dict[str, dict[str, str]]:
    """Return one contract per package: it imports no sibling that it does not require."""
    return {
        f"importlinter:contract:{package}": {
            "name": f"{package} imports only siblings that its pyproject.toml names",
            "type": "forbidden",
            "source_modules": module_name(package),
            "forbidden_modules": "\n".join(map(module_name, sorted(others))),
            "allow_indirect_imports": "true",
        }
        for package, required in sorted(packages.items())
        if (others := packages.keys() - required - {package})
    }


def written(packages: dict[str, set[str]]) -> dict[str, dict[str, str]]:
    """Return the contracts of the root `pyproject.toml`, with `DRIVERS` replaced by their names."""
    drivers = " : ".join(module_name(p) for p in sorted(packages) if "-driver-" in p)
    data = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts: list[dict[str, str | list[str]]] = data["tool"]["importlinter"]["contracts"]
    return {
        f"importlinter:contract:{number}": {
            key: (value if isinstance(value, str) else "\n".join(value)).replace("DRIVERS", drivers)
            for key, value in contract.items()
        }
        for number, contract in enumerate(contracts)
    }


def unlisted(core: Path, contracts: dict[str, dict[str, str]]) -> list[str]:
    """Return the modules directly below `core` that no layer names, and that could do anything."""
    listed = " ".join(contract.get("layers", "") for contract in contracts.values()).split()
    paths = [*core.glob("[a-z]*.py"), *(path for path in core.iterdir() if path.is_dir())]
    return sorted({f"{core.name}.{path.stem}" for path in paths} - set(listed))


def main() -> None:
    """Run import-linter; its exit code is ours."""
    folders = sorted((ROOT / "packages").iterdir())
    packages = {folder.name: declared(folder / "pyproject.toml") for folder in folders}
    config = ConfigParser(interpolation=None)
    config["importlinter"] = {
        "root_packages": "\n".join(map(module_name, packages)),
        "include_external_packages": "true",
    }
    config.read_dict(written(packages) | undeclared(packages))
    with tempfile.TemporaryDirectory() as name:
        stage = Path(name)
        for folder in folders:
            module = module_name(folder.name)
            shutil.copytree(folder / module, stage / module, ignore=TESTS)
        if missing := unlisted(stage / "jumpstarter", written(packages)):
            sys.exit(f"the layers in pyproject.toml do not name {', '.join(missing)}")
        with (stage / "contracts.ini").open("w", encoding="utf-8") as file:
            config.write(file)
        command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache", "--no-logo"]
        command += ["--config", "contracts.ini"]
        done = subprocess.run(command, cwd=stage, check=False, capture_output=True, text=True)
    print(done.stdout + done.stderr if done.returncode else done.stdout.splitlines()[-1])
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
