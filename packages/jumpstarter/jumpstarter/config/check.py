"""Everything that is wrong in an exporter's file, each with its line.

Reading a file stops at what makes it useless; a check goes on. It knows the file's form by itself.
What it cannot know from this layer, which drivers are installed and what they accept, it asks
through the function that is passed in.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from jumpstarter.config import files
from jumpstarter.config.connection_check import connection_problems
from jumpstarter.config.documents import Document, DocumentError, parse
from jumpstarter.config.entries import entry_form
from jumpstarter.config.exporter import ExporterConfigV1Alpha1, exporter_key_hint, ignored_keys
from jumpstarter.config.findings import DRIVER, Location, place, validation_problems
from jumpstarter.config.hook_check import hook_problems
from jumpstarter.config.loading import shape_problem
from jumpstarter.config.problems import Problem, as_mapping, dotted, shown, suggestion
from jumpstarter.config.references import reference_problems
from jumpstarter.model.errors import JumpstarterException

# Given to the constructor by the entry's own keys, so that `config` must not give them again.
_OWN_KEYS = ("description", "methods_description", "children")


@dataclass(frozen=True, kw_only=True)
class DriverField:
    """A field of a driver's constructor.

    Attributes:
        required: the constructor fails without it.
        problem: says what is wrong with a value, continuing the sentence "<field> …", or None.
    """

    required: bool = False
    problem: Callable[[object], str | None] = lambda _: None


@dataclass(frozen=True, kw_only=True)
class DriverCheck:
    """What is known of a driver type.

    Attributes:
        error: why the type cannot be used, or None.
        hint: what to do about that error, or empty.
        fields: the fields that `config` may give, by name.
        extra: the constructor accepts names that are no fields.
    """

    error: str | None = None
    hint: str = ""
    fields: Mapping[str, DriverField] = field(default_factory=dict[str, DriverField])
    extra: bool = False


ResolveDriver = Callable[[str], DriverCheck]


def check_exporter_file(path: Path, resolve: ResolveDriver | None = None) -> list[Problem]:
    """Return all that is wrong in an exporter's file, in the order of its lines.

    Args:
        path: the file.
        resolve: says of a driver type, as the file gives it, whether and how it can be used;
            without it, types and their `config` are not checked.
    """
    try:
        text = files.read_text(path)
    except JumpstarterException as error:
        return [Problem(message=error.message)]
    return check_exporter_text(text, resolve)


def check_exporter_text(text: str, resolve: ResolveDriver | None = None) -> list[Problem]:
    """Return all that is wrong in the text of an exporter's file; see `check_exporter_file`."""
    try:
        document = parse(text)
    except DocumentError as error:
        return [error.problem]
    shape = shape_problem(document)
    if shape is not None:
        return [shape]
    entries = list(_entries(document))
    found = [
        *document.duplicates,
        *ignored_keys(document),
        *_model_problems(document),
        *connection_problems(document),
        *hook_problems(document),
        *reference_problems(document),
        *_shadowed_references(document, entries),
    ]
    if resolve is not None:
        for location, entry in entries:
            found += _driver_problems(document, location, entry, resolve)
    return sorted(found, key=place)


def _model_problems(document: Document) -> list[Problem]:
    try:
        ExporterConfigV1Alpha1.model_validate(document.value)
    except ValidationError as error:
        return validation_problems(error, document, exporter_key_hint)
    return []


def _entries(document: Document) -> Iterator[tuple[Location, Mapping[str, object]]]:
    """Yield the location and the keys of each entry that is a mapping, parents first."""
    top = as_mapping(document.value) or {}
    waiting: list[tuple[Location, object]] = [(("export",), top.get("export"))]
    while waiting:
        location, group = waiting.pop()
        for name, value in (as_mapping(group) or {}).items():
            entry = as_mapping(value)
            if entry is not None:
                yield (*location, name), entry
                waiting.append(((*location, name, "children"), entry.get("children")))


def _shadowed_references(
    document: Document, entries: Iterable[tuple[Location, Mapping[str, object]]]
) -> Iterator[Problem]:
    for location, entry in entries:
        if entry_form(entry) == DRIVER and "ref" in entry:
            yield _problem(
                document, (*location, "ref"), "has no effect beside type", "remove one of the two"
            )


def _driver_problems(
    document: Document,
    location: Location,
    entry: Mapping[str, object],
    resolve: ResolveDriver,
) -> Iterator[Problem]:
    name = entry.get("type")
    if not isinstance(name, str) or not name:
        return
    driver = resolve(name)
    if driver.error is not None:
        told = f"{shown(name)} cannot be used: {driver.error}"
        yield _problem(document, (*location, "type"), told, driver.hint)
        return
    given = as_mapping(entry.get("config", {}))
    if given is None:
        return
    at = (*location, "config") if "config" in entry else location
    for key, known in driver.fields.items():
        if known.required and key not in {*given, *_OWN_KEYS}:
            yield _problem(
                document, at, f"lacks '{key}', which {name} requires", "add it under config"
            )
    for key, value in given.items():
        yield from _field_problems(document, (*location, "config", key), value, driver)


def _field_problems(
    document: Document, location: Location, value: object, driver: DriverCheck
) -> Iterator[Problem]:
    key = str(location[-1])
    if key in _OWN_KEYS:
        yield _problem(document, location, "is not the driver's to take", "move it beside type")
    elif key in driver.fields:
        told = driver.fields[key].problem(value)
        if told is not None:
            yield _problem(document, location, told)
    elif not driver.extra:
        known = [name for name in driver.fields if name not in _OWN_KEYS]
        hint = suggestion(key, known, "its fields are") or "it takes none"
        yield _problem(document, location, "is not a field of this driver", hint)


def _problem(document: Document, location: Location, message: str, hint: str = "") -> Problem:
    line, column = document.position(location)
    return Problem(line=line, column=column, where=dotted(location), message=message, hint=hint)
