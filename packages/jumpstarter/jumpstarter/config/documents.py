"""YAML text to plain values that still know the line they were written on, and back.

Any text whatever gives a `Document` or a `DocumentError`: nothing that the YAML library raises for
odd input passes through. A document that refers to itself, or that grows beyond `MAX_VALUES` when
its anchors are followed, is refused, so that those who walk its values come to an end.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError, SafeConstructor
from yaml.reader import ReaderError
from yaml.representer import RepresenterError

from jumpstarter.config.problems import Problem, dotted, printable, shown

MAX_VALUES = 100_000
"""How many values a document may have, each counted as often as anchors repeat it."""

_MERGE = "tag:yaml.org,2002:merge"
_TEXT = "tag:yaml.org,2002:str"
# YAML takes these for line breaks and folds them away unless they are written as escapes.
_ODD_BREAKS = frozenset("\r\x85\u2028\u2029")
_UNREADABLE = (ValueError, LookupError, ArithmeticError, AttributeError, TypeError)


class DocumentError(Exception):
    """The text is not one YAML document; `problem` says where and why."""

    def __init__(self, problem: Problem) -> None:
        """Keep the problem."""
        super().__init__(problem.text())
        self.problem = problem


@dataclass(frozen=True)
class Document:
    """What a YAML text says, and where it says it.

    Attributes:
        value: the plain value; None when the text holds none.
        root: the tree it was built from; None when the text holds none.
        duplicates: a problem for each key that stands twice in one mapping.
    """

    value: object
    root: yaml.Node | None
    duplicates: tuple[Problem, ...]

    def position(self, path: Sequence[str | int]) -> tuple[int, int]:
        """Return line and column, from 1, of the key at `path`, or of the nearest one above it."""
        place = self.root
        node = self.root
        for part in path:
            found = _child(node, part)
            if found is None:
                break
            place, node = found
        if place is None:
            return 1, 1
        return place.start_mark.line + 1, place.start_mark.column + 1

    def as_written(self, path: Sequence[str | int]) -> str:
        """Return the last key of `path` as it stands in the text: `on`, where the value is true."""
        node = self.root
        place = None
        for part in path:
            found = _child(node, part)
            if found is None:
                return str(part)
            place, node = found
        return place.value if isinstance(place, yaml.ScalarNode) else str(path[-1])


def parse(text: str) -> Document:
    """Read one YAML document.

    Raises:
        DocumentError: the text is not YAML, holds more than one document, or a value that none of
            the plain types can hold.
    """
    try:
        loader = _Loader(text)
    except ReaderError as error:
        raise DocumentError(_unreadable_character(text, error)) from None
    try:
        root = loader.get_single_node()
        if root is None:
            return Document(None, None, ())
        _expanded_size(root, {})
        duplicates = tuple(_duplicates(root))
        value = cast("object", loader.construct_document(root))  # pyright: ignore[reportUnknownMemberType] - untyped in the library
        return Document(value, root, duplicates)
    except yaml.MarkedYAMLError as error:
        raise DocumentError(_syntax_problem(error)) from None
    except RecursionError:
        raise DocumentError(Problem(line=1, message="the document is nested too deeply")) from None
    finally:
        loader.dispose()


def dump(value: object) -> str:
    """Write a value as YAML, keys in their order and text of several lines as a block.

    Raises:
        ValueError: it holds something that YAML's plain types cannot.
    """
    try:
        return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    except RepresenterError as error:
        held = type(error.args[-1]).__name__
        raise ValueError(f"a value of type {held} cannot be written as YAML") from None


class _Loader(yaml.SafeLoader):
    """SafeLoader, except that a value that its tag cannot hold is an error with a line."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> object:  # noqa: FBT001, FBT002 - the library's signature
        try:
            return cast("object", super().construct_object(node, deep=deep))  # pyright: ignore[reportUnknownMemberType] - untyped in the library
        except _UNREADABLE:
            kind = node.tag.rpartition(":")[2]
            raise ConstructorError(
                None, None, f"{shown(node.value)} cannot be read as {kind}", node.start_mark
            ) from None


class _Dumper(yaml.SafeDumper):
    """SafeDumper that keeps scripts readable."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    if not _ODD_BREAKS.isdisjoint(text):
        style = '"'
    return dumper.represent_scalar(_TEXT, text, style=style)  # pyright: ignore[reportUnknownMemberType] - untyped in the library


_Dumper.add_representer(str, _represent_text)


def _syntax_problem(error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    line, column = (1, 1) if mark is None else (mark.line + 1, mark.column + 1)
    told = error.problem or error.context or "it cannot be read"
    if told.startswith("but ") and error.context:
        told = f"{error.context}, {told}"
    return Problem(line=line, column=column, message=f"not valid YAML: {printable(told)}")


def _unreadable_character(text: str, error: ReaderError) -> Problem:
    before = text[: error.position]
    return Problem(
        line=before.count("\n") + 1,
        column=len(before) - before.rfind("\n"),
        message=f"not valid YAML: character #x{ord(text[error.position]):04x} is not allowed",
        hint="remove it, or write it as an escape in double quotes",
    )


def _pairs(node: yaml.Node | None) -> list[tuple[yaml.Node, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode):
        return []
    return cast("list[tuple[yaml.Node, yaml.Node]]", node.value)


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        yield from cast("list[yaml.Node]", node.value)
    for key, value in _pairs(node):
        yield key
        yield value


def _child(node: yaml.Node | None, part: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    if isinstance(node, yaml.SequenceNode):
        items = cast("list[yaml.Node]", node.value)
        if isinstance(part, int) and part < len(items):
            return items[part], items[part]
        return None
    # The last one counts: a later key replaces an earlier one, and merged keys come first.
    for key, value in reversed(_pairs(node)):
        if part in (key.value, _key(key)):
            return key, value
    return None


def _key(node: yaml.Node) -> str | int | None:
    """Return a key as validation errors name it: numbers as such, anything else as text."""
    if not isinstance(node, yaml.ScalarNode) or node.tag == _TEXT:
        return None
    value = cast("object", SafeConstructor().construct_object(node))  # pyright: ignore[reportUnknownMemberType] - untyped in the library
    return value if isinstance(value, int) else str(value)


def _expanded_size(node: yaml.Node, sizes: dict[int, int]) -> int:
    """Count the values below a node, anchors followed; refuse endless and enormous documents."""
    known = sizes.get(id(node))
    if known == 0:
        raise ComposerError(
            None, None, "an anchor is used inside the value that it names", node.start_mark
        )
    if known is None:
        sizes[id(node)] = 0
        known = 1 + sum(_expanded_size(child, sizes) for child in _children(node))
        sizes[id(node)] = known
    if known > MAX_VALUES:
        raise ComposerError(
            None, None, f"the document holds more than {MAX_VALUES} values", node.start_mark
        )
    return known


def _duplicates(root: yaml.Node) -> Iterator[Problem]:
    seen: set[int] = set()
    waiting: list[tuple[yaml.Node, tuple[str, ...]]] = [(root, ())]
    while waiting:
        node, path = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield from _duplicates_of(node, path)
        waiting += [(child, (*path, str(key.value))) for key, child in _pairs(node)]
        if isinstance(node, yaml.SequenceNode):
            items = cast("list[yaml.Node]", node.value)
            waiting += [(item, (*path, str(index))) for index, item in enumerate(items)]


def _duplicates_of(node: yaml.Node, path: tuple[str, ...]) -> Iterator[Problem]:
    first: dict[tuple[str, str], int] = {}
    for key, _ in _pairs(node):
        if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
            continue
        name = (key.tag, cast("str", key.value))
        line = key.start_mark.line + 1
        if name in first:
            yield Problem(
                line=line,
                column=key.start_mark.column + 1,
                where=dotted((*path, key.value)),
                message=f"stands here for the second time, first on line {first[name]}",
                hint="remove one of the two",
            )
        first.setdefault(name, line)
