"""Where the `ref` of each proxy leads.

A path is followed from the root through `children`. Below an entry with a driver it may lead to
something that the driver itself adds, and below another proxy to what that one stands for: there
the file alone cannot tell, and nothing is reported.
"""

from collections.abc import Iterator, Mapping

from jumpstarter.config.documents import Document
from jumpstarter.config.entries import entry_form
from jumpstarter.config.findings import COMPOSITE, PROXY, Location
from jumpstarter.config.problems import Problem, as_mapping, dotted, shown, suggestion

Names = tuple[str, ...]


def reference_problems(document: Document) -> Iterator[Problem]:
    """Yield a problem for each reference that leads nowhere, or back to itself."""
    top = as_mapping(document.value) or {}
    tree = _tree(top.get("export"))
    proxies = {names: ref for names, ref in _proxies((), tree) if ref}
    for names, ref in proxies.items():
        told = _nowhere(tree, ref) or _circle(proxies, names)
        if told is not None:
            location = (*_location(names), "ref")
            line, column = document.position(location)
            message, hint = told
            yield Problem(
                line=line, column=column, where=dotted(location), message=message, hint=hint
            )


def _tree(children: object) -> Mapping[str, Mapping[str, object]]:
    every = {name: as_mapping(entry) for name, entry in (as_mapping(children) or {}).items()}
    return {name: entry for name, entry in every.items() if entry is not None}


def _proxies(above: Names, tree: Mapping[str, Mapping[str, object]]) -> Iterator[tuple[Names, str]]:
    for name, entry in tree.items():
        ref = entry.get("ref")
        if entry_form(entry) == PROXY and isinstance(ref, str):
            yield (*above, name), ref
        yield from _proxies((*above, name), _tree(entry.get("children")))


def _nowhere(tree: Mapping[str, Mapping[str, object]], ref: str) -> tuple[str, str] | None:
    """Say at which name a reference leads nowhere, and what was meant."""
    passed: Names = ()
    for name in ref.split("."):
        if name not in tree:
            above = f"'{'.'.join(passed)}'" if passed else "export"
            told = f"points to {shown(ref)}, but there is no {shown(name)} in {above}"
            known = list(tree)
            return told, suggestion(name, known)
        entry = tree[name]
        if entry_form(entry) != COMPOSITE:
            return None
        tree = _tree(entry.get("children"))
        passed = (*passed, name)
    return None


def _circle(proxies: Mapping[Names, str], start: Names) -> tuple[str, str] | None:
    """Say whether following a proxy comes back to it, or leads to a group that it stands in."""
    names, seen = start, set[Names]()
    while names in proxies and names not in seen:
        seen.add(names)
        names = tuple(proxies[names].split("."))
    if start[: len(names)] != names:
        return None
    return "leads back to itself", "let it name a driver outside of its own group"


def _location(names: Names) -> Location:
    location: list[str] = ["export"]
    for name in names:
        location += [name, "children"]
    return tuple(location[:-1])
