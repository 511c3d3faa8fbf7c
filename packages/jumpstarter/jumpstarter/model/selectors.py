"""Label selectors: the text that says which exporters or leases are meant.

The grammar is that of Kubernetes: requirements joined by commas, all of which must hold. Each is
`key`, `!key`, `key=value`, `key==value`, `key!=value`, `key in (a,b)` or `key notin (a,b)`. Text
that is not of this form is refused with the place where it goes wrong; nothing is skipped, because
a requirement that is silently dropped selects a device that nobody asked for.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from jumpstarter.model.errors import ArgumentError

__all__ = [
    "Operator",
    "Requirement",
    "SelectorError",
    "parse_selector",
    "matches",
    "parse_label_selector",
    "extract_match_labels_filter",
    "selector_contains",
]


class SelectorError(ArgumentError, ValueError):
    """A selector is not of the form that is understood.

    `selector` is the text and `position` the offset in it, from 0, at which reading stopped.
    """

    def __init__(self, problem: str, selector: str, position: int) -> None:
        """Say that `selector` has `problem` at the offset `position`."""
        super().__init__(f"label selector {selector!r}: {problem} at character {position + 1}")
        self.selector = selector
        self.position = position


class Operator(StrEnum):
    """How a requirement compares a label; `parse_label_selector` gives the values."""

    EQUALS = "="
    NOT_EQUALS = "!="
    IN = "in"
    NOT_IN = "notin"
    EXISTS = "exists"
    NOT_EXISTS = "!exists"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on the label `key`; `values` is empty for EXISTS and NOT_EXISTS."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def admits(self, labels: Mapping[str, str]) -> bool:
        """Return whether `labels` meets this; an absent label meets the negative operators."""
        present = self.key in labels
        match self.operator:
            case Operator.EXISTS:
                return present
            case Operator.NOT_EXISTS:
                return not present
            case Operator.EQUALS | Operator.IN:
                return present and labels[self.key] in self.values
            case Operator.NOT_EQUALS | Operator.NOT_IN:
                return not present or labels[self.key] not in self.values


def parse_selector(selector: str) -> tuple[Requirement, ...]:
    """Return the requirements of `selector` in their order; an empty text has none.

    Raises SelectorError for malformed text, and when one label must equal two values.
    """
    return _Parser(selector).requirements()


def matches(selector: str | Iterable[Requirement], labels: Mapping[str, str]) -> bool:
    """Return whether `labels` meets every requirement; an empty selector is met by all.

    To test many sets of labels, give the requirements that `parse_selector` returned. Raises
    SelectorError for malformed text.
    """
    requirements = parse_selector(selector) if isinstance(selector, str) else selector
    return all(requirement.admits(labels) for requirement in requirements)


def parse_label_selector(selector: str) -> tuple[dict[str, str], list[tuple[str, str, list[str]]]]:
    """Split `selector` into its equalities and its other requirements (key, operator, values).

    Raises SelectorError for malformed text.
    """
    equalities: dict[str, str] = {}
    others: list[tuple[str, str, list[str]]] = []
    for item in parse_selector(selector):
        if item.operator is Operator.EQUALS:
            equalities[item.key] = item.values[0]
        else:
            others.append((item.key, str(item.operator), list(item.values)))
    return equalities, others


def extract_match_labels_filter(selector: str | None) -> str | None:
    """Return the equalities of `selector` as a selector of their own, or None if there are none.

    Raises SelectorError for malformed text.
    """
    equalities, _ = parse_label_selector(selector or "")
    return ",".join(f"{key}={value}" for key, value in equalities.items()) or None


def selector_contains(selector: str, requirements: str) -> bool:
    """Return whether `selector` states each of `requirements`, in whatever order and spelling.

    `a!=b` and `a notin (b)` are one requirement, as are `a=b` and `a in (b)`. What merely follows
    from `selector` is not stated by it: `a=b` does not contain `a`. Raises SelectorError for
    malformed text.
    """
    stated = {_canonical(item) for item in parse_selector(selector)}
    return all(_canonical(item) in stated for item in parse_selector(requirements))


def _canonical(requirement: Requirement) -> tuple[str, Operator, frozenset[str]]:
    spelling = {Operator.EQUALS: Operator.IN, Operator.NOT_EQUALS: Operator.NOT_IN}
    operator = spelling.get(requirement.operator, requirement.operator)
    return requirement.key, operator, frozenset(requirement.values)


# A word is whatever stands between blanks and signs; whether it is a valid label is asked later.
_TOKEN = re.compile(r"(?P<blank>\s+)|(?P<sign>!=|==|[=!(),])|(?P<word>[^\s!=(),]+)")

# The limits of Kubernetes: a DNS name of 253 characters, a slash, a name of 63 characters.
_NAME = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_PREFIX = r"(?=.{1,253}/)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*/"
_KEY = re.compile(rf"({_PREFIX})?{_NAME}")
_VALUE = re.compile(rf"({_NAME})?")

_END = ""


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    position: int
    is_word: bool


def _tokens(selector: str) -> Iterator[_Token]:
    for found in _TOKEN.finditer(selector):
        if found.lastgroup != "blank":
            yield _Token(found[0], found.start(), found.lastgroup == "word")
    yield _Token(_END, len(selector), is_word=False)


@dataclass(slots=True)
class _Parser:
    """Reads the tokens from left to right, one look ahead; `in` and `notin` may also be keys."""

    selector: str
    _rest: list[_Token] = field(init=False)
    _equal: dict[str, str] = field(init=False, default_factory=dict[str, str])

    def __post_init__(self) -> None:
        self._rest = list(_tokens(self.selector))
        self._rest.reverse()

    def requirements(self) -> tuple[Requirement, ...]:
        if self._next_is(_END):
            return ()
        found = [self._requirement()]
        while self._next_is(","):
            self._take()
            found.append(self._requirement())
        if not self._next_is(_END):
            raise self._expected("',' or the end")
        return tuple(found)

    def _requirement(self) -> Requirement:
        if self._next_is("!"):
            self._take()
            return Requirement(self._key(), Operator.NOT_EXISTS)
        key = self._key()
        if self._next_is("=", "=="):
            return self._equality(key)
        if self._next_is("!="):
            self._take()
            return Requirement(key, Operator.NOT_EQUALS, (self._value(),))
        if self._next_is("in", "notin"):
            operator = Operator(self._take().text)
            return Requirement(key, operator, tuple(self._values()))
        return Requirement(key, Operator.EXISTS)

    def _equality(self, key: str) -> Requirement:
        position = self._take().position
        value = self._value()
        if self._equal.setdefault(key, value) != value:
            problem = f"{key!r} cannot equal both {self._equal[key]!r} and {value!r}"
            raise SelectorError(problem, self.selector, position)
        return Requirement(key, Operator.EQUALS, (value,))

    def _values(self) -> Iterator[str]:
        if not self._next_is("("):
            raise self._expected("'('")
        self._take()
        yield self._value()
        while self._next_is(","):
            self._take()
            yield self._value()
        if not self._next_is(")"):
            raise self._expected("',' or ')'")
        self._take()

    def _key(self) -> str:
        if not self._rest[-1].is_word:
            raise self._expected("a label name")
        token = self._take()
        if _KEY.fullmatch(token.text) is None:
            raise SelectorError(
                f"{token.text!r} is not a label name", self.selector, token.position
            )
        return token.text

    def _value(self) -> str:
        # An empty value is a value: `key=` and `key in (,a)` ask for a label without text.
        if not self._rest[-1].is_word:
            return ""
        token = self._take()
        if _VALUE.fullmatch(token.text) is None:
            raise SelectorError(
                f"{token.text!r} is not a label value", self.selector, token.position
            )
        return token.text

    def _next_is(self, *texts: str) -> bool:
        return self._rest[-1].text in texts

    def _take(self) -> _Token:
        return self._rest.pop()

    def _expected(self, what: str) -> SelectorError:
        token = self._rest[-1]
        seen = repr(token.text) if token.text else "the end"
        return SelectorError(f"expected {what}, found {seen}", self.selector, token.position)
