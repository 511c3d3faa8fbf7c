"""One thing that is wrong in a file, and the one line that tells it.

The line reads `FILE:LINE: WHERE MESSAGE; HINT`: what is wrong, where, what to do. No line ever
holds a secret, a line break or a control character of the file that it speaks of.
"""

import difflib
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from jumpstarter.model.errors import ConfigurationError

SECRET_KEYS = frozenset({"token", "refresh_token"})
_SHOWN_LENGTH = 40


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What is wrong in a file.

    Attributes:
        line: number of the line, from 1, or None when the message itself says where.
        column: number of the character in that line, from 1, or None.
        where: the dotted path of the key, empty when the whole file is meant.
        message: what is wrong; with `where` before it, a sentence.
        hint: what to do, or empty.
    """

    line: int | None = None
    column: int | None = None
    where: str = ""
    message: str
    hint: str = ""

    def text(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the problem in one line, beginning with the file when `path` is given."""
        place = ""
        if path is not None and self.line is not None:
            place = f"{printable(os.fspath(path))}:{self.line}:"
        parts = [place, self.where, self.message]
        sentence = " ".join(part for part in parts if part)
        return f"{sentence}; {self.hint}" if self.hint else sentence


def failure(
    problems: Sequence[Problem], path: str | os.PathLike[str] | None, see_all: str = ""
) -> ConfigurationError:
    """Return the error that tells all problems in one line.

    Args:
        problems: at least one.
        path: the file that they are in, or None.
        see_all: the command that shows all of them; with it, only the first is told.
    """
    first, *others = [problem.text(path if n == 0 else None) for n, problem in enumerate(problems)]
    if not others:
        return ConfigurationError(first)
    if see_all:
        others = [f"{len(others)} more: see {see_all}"]
    return ConfigurationError(f"{first} (also: {'; '.join(others)})")


def printable(text: str) -> str:
    """Return `text` with everything escaped that a terminal would not show as it is."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def dotted(path: Sequence[str | int]) -> str:
    """Return a path of keys as shown to users."""
    return printable(".".join(str(part) for part in path))


def shown(value: object) -> str:
    """Describe a value from a file in a few words."""
    if isinstance(value, str):
        cut = value if len(value) <= _SHOWN_LENGTH else value[:_SHOWN_LENGTH] + "…"
        return f"'{printable(cut)}'"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, Sequence):
        return "a list"
    return printable(str(value))


def kind_of(value: object) -> str:
    """Name only the kind of a value: for secrets."""
    if isinstance(value, str):
        return "text"
    return "a number" if isinstance(value, int | float) else shown(value)


def suggestion(key: str, known: Collection[str], listed: str = "known keys are") -> str:
    """Say which of the known keys was meant, or list them, after `listed`, when none is near."""
    near = difflib.get_close_matches(key, known, n=1)
    if not near:
        folded = {_folded(name): name for name in known}
        near = [folded[_folded(key)]] if _folded(key) in folded else []
    if near:
        return f"did you mean {shown(near[0])}?"
    return f"{listed} {', '.join(printable(name) for name in known)}" if known else ""


def as_mapping(value: object) -> Mapping[str, object] | None:
    """Return a mapping as one with text keys, or None when the value is no mapping.

    Keys that are not text are left out: they are told as problems of their own.
    """
    if not isinstance(value, Mapping):
        return None
    pairs = cast("Mapping[object, object]", value).items()
    return {key: item for key, item in pairs if isinstance(key, str)}


def _folded(key: str) -> str:
    return key.replace("_", "").replace("-", "").lower()
