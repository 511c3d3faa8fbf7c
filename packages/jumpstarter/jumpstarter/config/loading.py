"""From a file to a checked model, with every failure told in one line."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar, cast

from pydantic import BaseModel, ValidationError

from jumpstarter.config import files
from jumpstarter.config.documents import Document, DocumentError, parse
from jumpstarter.config.findings import KeyHint, validation_problems
from jumpstarter.config.problems import Problem, as_mapping, failure

M = TypeVar("M", bound=BaseModel)


def read_document(path: Path) -> Document:
    """Read a file that holds a mapping.

    Raises:
        jumpstarter.model.errors.FileNotFoundError: there is no such file.
        ConfigurationError: it cannot be read, is not YAML, or holds no mapping.
    """
    try:
        document = parse(files.read_text(path))
    except DocumentError as error:
        raise failure([error.problem], path) from None
    problem = shape_problem(document)
    if problem is not None:
        raise failure([problem], path)
    return document


def shape_problem(document: Document) -> Problem | None:
    """Return what is wrong with a document that holds no mapping, or None."""
    if document.root is None:
        return Problem(
            line=1, message="the document is empty", hint="it must hold keys with their values"
        )
    if as_mapping(document.value) is None:
        line, column = document.position(())
        return Problem(
            line=line,
            column=column,
            message="the document must hold keys with their values, `key: value`",
        )
    return None


def validated(
    model: type[M],
    document: Document,
    path: Path,
    key_hint: KeyHint,
    own: Mapping[str, object] | None = None,
    see_all: str = "",
) -> M:
    """Build a model from a document.

    Args:
        model: its class.
        document: holds a mapping.
        path: the file it comes from.
        key_hint: what to write instead of an unknown key.
        own: fields that are not the file's to say; they replace what it says.
        see_all: the command that shows all problems of such a file, or empty.

    Raises:
        ConfigurationError: the document does not fit the model.
    """
    data = cast("Mapping[object, object]", document.value)
    try:
        return model.model_validate({**data, **(own or {})})
    except ValidationError as error:
        found = validation_problems(error, document, key_hint)
        raise failure(found, path, see_all) from None


def field_keys(model: type[BaseModel]) -> dict[str, str]:
    """Return the keys that files use for a model's fields, each with the field's name."""
    return {
        str(field.alias or field.serialization_alias or name): name
        for name, field in model.model_fields.items()
    }
