"""What pydantic found wrong in a file, in the words and places of that file.

The key that is wrong is named as the user wrote it, on the line where it stands; values of secret
keys are never shown.
"""

from collections.abc import Callable, Mapping

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from jumpstarter.config import env
from jumpstarter.config.documents import Document
from jumpstarter.config.problems import SECRET_KEYS, Problem, dotted, kind_of, printable, shown

# Which form an entry of `export` has stands in the locations of validation errors; it is no key.
DRIVER = "(driver)"
COMPOSITE = "(composite)"
PROXY = "(proxy)"
TOLD = "told"
"""Type of a validation error whose message says all, also where it happened."""

_FORMS = frozenset({DRIVER, COMPOSITE, PROXY})

Location = tuple[str | int, ...]
KeyHint = Callable[[Location], str]

_KEY = "[key]"
_WANTED: Mapping[str, str] = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "mapping_type": "a mapping",
    "list_type": "a list",
    "entry": "a mapping with the key type, children or ref",
}
_ADD: Mapping[tuple[str, ...], str] = {
    ("metadata", "namespace"): f"add it, or set {env.JMP_NAMESPACE}",
    ("metadata", "name"): f"add it, or set {env.JMP_NAME}",
    ("metadata",): "add it, with the keys namespace and name",
}


def validation_problems(
    error: ValidationError, document: Document, key_hint: KeyHint
) -> list[Problem]:
    """Return one problem for each thing that pydantic found, in the order of the file.

    Args:
        error: what validation raised for the document's value.
        document: the file.
        key_hint: says, for the location of an unknown key, what to write instead.
    """
    found = [_problem(details, document, key_hint) for details in error.errors(include_url=False)]
    return sorted(found, key=place)


def place(problem: Problem) -> tuple[int, int]:
    """Return where a problem stands, to sort by."""
    return problem.line or 0, problem.column or 0


def without_forms(location: Location) -> Location:
    """Return a location as a path of the keys in the file."""
    return tuple(part for part in location if part not in _FORMS)


def _problem(details: ErrorDetails, document: Document, key_hint: KeyHint) -> Problem:
    path = without_forms(details["loc"])
    if details["type"] == TOLD:
        return Problem(message=printable(details["msg"]))
    if path and path[-1] == _KEY:
        return _key_problem(path[:-1], document)
    if details["type"] == "invalid_key":
        return _key_problem(path, document)
    line, column = document.position(path)
    return Problem(
        line=line,
        column=column,
        where=dotted(path) or "the document",
        message=_message(details, path),
        hint=_hint(details, path, key_hint),
    )


def _key_problem(path: Location, document: Document) -> Problem:
    line, column = document.position(path)
    written = document.as_written(path)
    return Problem(
        line=line,
        column=column,
        where=dotted((*path[:-1], written)),
        message="is not read as text",
        hint=f'put the key in quotes: "{printable(written)}"',
    )


def _message(details: ErrorDetails, path: Location) -> str:
    context = details.get("ctx", {})
    match details["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return "is not a known key"
        case "string_too_short":
            return "must not be empty"
        case "literal_error":
            wanted = f"must be {context['expected']}"
        case "greater_than_equal":
            wanted = f"must be at least {context['ge']:g}"
        case "value_error":
            wanted = str(context["error"])
        case kind if kind in _WANTED:
            wanted = f"must be {_WANTED[kind]}"
        case _:
            return printable(details["msg"][:1].lower() + details["msg"][1:])
    return f"{wanted}, not {_value(details['input'], path)}"


def _value(value: object, path: Location) -> str:
    return kind_of(value) if path and path[-1] in SECRET_KEYS else shown(value)


def _hint(details: ErrorDetails, path: Location, key_hint: KeyHint) -> str:
    if details["type"] == "missing":
        return _ADD.get(tuple(str(part) for part in path), "add it")
    if details["type"] == "extra_forbidden":
        return key_hint(details["loc"])
    if path and details["input"] is None:
        return "give it a value, or remove the key"
    return ""
