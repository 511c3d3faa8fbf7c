"""Puts credentials into the text of an exporter's file, and leaves the rest as it stands. Pure."""

from collections.abc import Mapping
from typing import cast

import yaml
from jumpstarter.config.documents import Document, DocumentError, dump, parse

_FIRST = ("apiVersion", "kind", "metadata")
"""Keys that new ones are put after."""


def with_sections(text: str, sections: Mapping[str, object]) -> str:
    """Return the document `text`, a mapping, with the keys of `sections` set to their values.

    Comments and the order of keys stay. Where that cannot be done line by line, such as in a
    mapping in braces, the document is written anew, without its comments. Raises DocumentError for
    text that is no YAML.
    """
    document = parse(text)
    before = cast("Mapping[str, object]", document.value)
    wanted = {**before, **sections}
    if isinstance(document.root, yaml.MappingNode) and not document.root.flow_style:
        edited = _edited(text, document.root, sections)
        if _says(edited, wanted):
            return edited
    ordered = {
        key: wanted[key] for key in dict.fromkeys((*_FIRST, *sections, *before)) if key in wanted
    }
    return dump(ordered)


def _edited(text: str, root: yaml.MappingNode, sections: Mapping[str, object]) -> str:
    """Return the text with the lines of each section replaced, or put in."""
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    spans = _spans(root, lines)
    absent = {key: value for key, value in sections.items() if key not in spans}
    place = max(
        (spans[key][1] for key in _FIRST if key in spans),
        default=min((begin for begin, _ in spans.values()), default=len(lines)),
    )
    changes = [(*spans[key], dump({key: value})) for key, value in sections.items() if key in spans]
    # After a replacement that ends there, because the changes are made from the last to the first.
    changes += [(place, place, dump(absent))] if absent else []
    for begin, end, new in sorted(changes, key=lambda change: change[:2], reverse=True):
        lines[begin:end] = [new]
    return "".join(lines)


def _spans(root: yaml.MappingNode, lines: list[str]) -> dict[str, tuple[int, int]]:
    """Return the first line of each key, and the line after its value."""
    pairs = cast("list[tuple[yaml.Node, yaml.Node]]", root.value)
    spans: dict[str, tuple[int, int]] = {}
    for key, value in pairs:
        begin, end = key.start_mark.line, value.end_mark.line
        # The mark of a value in one line is on that line; that of a block is where the next begins.
        end += value.end_mark.column > 0
        while end > begin + 1 and _is_remark(lines[end - 1]):
            end -= 1
        spans[str(cast("str", key.value))] = begin, end
    return spans


def _is_remark(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _says(text: str, wanted: Mapping[str, object]) -> bool:
    try:
        found: Document = parse(text)
    except DocumentError:
        return False
    return found.value == wanted
