"""What is wrong with a hook although its form is right: programs and files that are not there.

The check belongs to the machine on which the exporter runs.
"""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from jumpstarter.config import locations
from jumpstarter.config.documents import Document
from jumpstarter.config.findings import Location
from jumpstarter.config.problems import Problem, as_mapping, dotted, shown


def hook_problems(document: Document) -> Iterator[Problem]:
    """Yield a problem for each interpreter and each script file that does not exist."""
    top = as_mapping(document.value) or {}
    for name, value in (as_mapping(top.get("hooks")) or {}).items():
        hook = as_mapping(value)
        if hook is not None:
            yield from _of_hook(document, ("hooks", name), hook)


def _of_hook(
    document: Document, location: Location, hook: Mapping[str, object]
) -> Iterator[Problem]:
    for key in ("exec", "exec_"):
        program = hook.get(key)
        if isinstance(program, str) and shutil.which(program) is None:
            yield _problem(document, (*location, key), f"names no program here: {shown(program)}")
    script = hook.get("script")
    if isinstance(script, str) and _means_file(script) and not locations.exists(Path(script)):
        yield _problem(
            document, (*location, "script"), f"names a file that does not exist: {shown(script)}"
        )


def _means_file(script: str) -> bool:
    return script.startswith(("/", "./", "../")) and len(script.split()) == 1


def _problem(document: Document, location: Location, message: str) -> Problem:
    line, column = document.position(location)
    hint = "correct the path, or install it on the exporter's machine"
    return Problem(line=line, column=column, where=dotted(location), message=message, hint=hint)
