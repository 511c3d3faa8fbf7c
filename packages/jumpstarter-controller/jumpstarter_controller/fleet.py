"""The exporters of a namespace, found by their labels without looking at each.

Rule: pure; it is an index and decides nothing.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Self

from jumpstarter.model.selectors import Operator, Requirement, parse_selector

from .objects import Exporter

NONE: Mapping[str, Exporter] = {}


@lru_cache(maxsize=4096)
def requirements(selector: str) -> tuple[Requirement, ...]:
    """Return the requirements of a selector that was found good before."""
    return parse_selector(selector)


def admits(selector: str, labels: Mapping[str, str]) -> bool:
    """Return whether `labels` meets the selector."""
    return all(item.admits(labels) for item in requirements(selector))


class Fleet:
    """Exporters by name and by label."""

    def __init__(self) -> None:
        """Begin empty."""
        self._by_name: dict[str, Exporter] = {}
        self._by_label: dict[tuple[str, str], dict[str, Exporter]] = {}

    @classmethod
    def of(cls, exporters: Iterable[Exporter]) -> Self:
        """Return an index of `exporters`."""
        fleet = cls()
        for exporter in exporters:
            fleet.replace(None, exporter)
        return fleet

    def replace(self, old: Exporter | None, new: Exporter | None) -> None:
        """Put `new` in the place of `old`."""
        if old is not None:
            del self._by_name[old.name]
            for label in old.labels.items():
                del self._by_label[label][old.name]
                if not self._by_label[label]:
                    del self._by_label[label]
        if new is not None:
            self._by_name[new.name] = new
            for label in new.labels.items():
                self._by_label.setdefault(label, {})[new.name] = new

    def get(self, name: str) -> Exporter | None:
        """Return the exporter of this name."""
        return self._by_name.get(name)

    def all(self) -> Iterable[Exporter]:
        """Return all of them, in no order."""
        return self._by_name.values()

    def matching(self, selector: str) -> list[Exporter]:
        """Return those that meet `selector`, in no order."""
        wanted = requirements(selector)
        pools = [
            (item, self._by_label.get((item.key, item.values[0]), NONE))
            for item in wanted
            if item.operator is Operator.EQUALS
        ]
        first, pool = min(pools, key=lambda pair: len(pair[1]), default=(None, self._by_name))
        found = pool.values()
        for item in wanted:
            if item is not first:
                found = [one for one in found if item.admits(one.labels)]
        return list(found)
