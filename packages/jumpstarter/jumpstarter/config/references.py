"""Where the `ref` of each proxy leads.

A path is followed from the root through `children`. Below an entry with a driver it may lead to
something that the driver itself adds, and below another proxy to what that one stands for: there
the file alone cannot tell, and nothing is reported.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from jumpstarter.config.documents import Document
from jumpstarter.config.entries import entry_form
from jumpstarter.config.findings import COMPOSITE, PROXY, Location
from jumpstarter.config.problems import Problem, as_mapping, dotted, shown, suggestion

Names = tuple[str, ...]
_ROOT: Names = ()


@dataclass(frozen=True)
class _Tree:
    """The entries of a file by their names from the root.

    Attributes:
        groups: the names in each composite; the root is one.
        leads_to: what each entry makes part of the device: its children, or a proxy's target.
        proxies: what each proxy refers to.
    """

    groups: dict[Names, list[str]] = field(default_factory=dict[Names, list[str]])
    leads_to: dict[Names, list[Names]] = field(default_factory=dict[Names, list[Names]])
    proxies: dict[Names, str] = field(default_factory=dict[Names, str])


def reference_problems(document: Document) -> Iterator[Problem]:
    """Yield a problem for each reference that leads nowhere, or back to itself."""
    top = as_mapping(document.value) or {}
    tree = _tree(as_mapping(top.get("export")) or {})
    for names, ref in tree.proxies.items():
        told = _nowhere(tree, ref) or _circle(tree, names)
        if told is not None:
            message, hint = told
            location = (*_location(names), "ref")
            line, column = document.position(location)
            yield Problem(
                line=line, column=column, where=dotted(location), message=message, hint=hint
            )


def _tree(export: Mapping[str, object]) -> _Tree:
    tree = _Tree(groups={_ROOT: list(export)})
    waiting: list[tuple[Names, object]] = [((name,), entry) for name, entry in export.items()]
    while waiting:
        names, value = waiting.pop()
        entry = as_mapping(value)
        if entry is None:
            continue
        children = as_mapping(entry.get("children")) or {}
        ref = entry.get("ref")
        if entry_form(entry) == COMPOSITE:
            tree.groups[names] = list(children)
        if entry_form(entry) == PROXY and isinstance(ref, str) and ref:
            tree.proxies[names] = ref
            tree.leads_to[names] = [tuple(ref.split("."))]
        else:
            tree.leads_to[names] = [(*names, name) for name in children]
        waiting += [((*names, name), child) for name, child in children.items()]
    return tree


def _nowhere(tree: _Tree, ref: str) -> tuple[str, str] | None:
    """Say at which name a reference leads nowhere, and what was meant."""
    passed = _ROOT
    for name in ref.split("."):
        known = tree.groups.get(passed)
        if known is None:
            return None
        if name not in known:
            above = shown(".".join(passed)) if passed else "export"
            told = f"points to {shown(ref)}, but there is no {shown(name)} in {above}"
            return told, suggestion(name, known, "names are")
        passed = (*passed, name)
    return None


def _circle(tree: _Tree, proxy: Names) -> tuple[str, str] | None:
    """Say whether what a proxy stands for holds the proxy itself."""
    seen: set[Names] = set()
    waiting = list(tree.leads_to[proxy])
    while waiting:
        names = waiting.pop()
        if names == proxy:
            return "leads back to itself", "let it name a driver outside of its own group"
        if names not in seen:
            seen.add(names)
            waiting += tree.leads_to.get(names, [])
    return None


def _location(names: Names) -> Location:
    location: list[str] = ["export"]
    for name in names:
        location += [name, "children"]
    return tuple(location[:-1])
