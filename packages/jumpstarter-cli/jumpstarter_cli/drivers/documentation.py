"""What is written in a class for people: docstrings, texts below its fields, and types."""

import ast
import inspect
import re
import textwrap
import typing
from collections.abc import Iterator
from itertools import pairwise

_MODULES = re.compile(r"\b(?:[A-Za-z_]\w*\.)+(?=[A-Za-z_])")


def type_name(annotation: object) -> str:
    """Return how an annotation is written, without the modules that its names are from."""
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return _MODULES.sub("", text)


def resolved_hints(thing: object) -> dict[str, object]:
    """Return the annotations of a class or function as types; none when a name is not known.

    A driver may name types that only a type checker imports.
    """
    try:
        return typing.get_type_hints(thing)
    except (NameError, TypeError, AttributeError, SyntaxError):
        return {}


def summary(text: str | None) -> str:
    """Return the first paragraph of a docstring in one line, or nothing."""
    return " ".join(inspect.cleandoc(text or "").partition("\n\n")[0].split())


def own_docstring(kind: type) -> str:
    """Return the docstring of a class, or nothing where a dataclass wrote one by itself."""
    text = inspect.cleandoc(vars(kind).get("__doc__") or "")
    return "" if text.startswith(f"{kind.__name__}(") else text


def attribute_docs(kind: type) -> dict[str, str]:
    """Return the texts that stand below the fields of a class and of its bases, by field."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        found |= dict(_texts_below_fields(base))
    return found


def _texts_below_fields(kind: type) -> Iterator[tuple[str, str]]:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    except (OSError, TypeError, SyntaxError):
        return
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    for field, text in pairwise(body):
        match field, text:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(words))),
            ):
                yield name, summary(words)
            case _:
                continue
