"""Lists and pairs as they are typed: `a,b`, repeated or not, and `key=value`."""

from collections.abc import Iterable

import click


def listed(values: Iterable[str]) -> list[str]:
    """Return the words of options that may be repeated, or hold several between commas."""
    parts = (part.strip() for value in values for part in value.split(","))
    return list(dict.fromkeys(part for part in parts if part))


def paired(values: Iterable[str], option: str) -> dict[str, str]:
    """Return what options of the form `key=value` say; raises UsageError for other text."""
    pairs: dict[str, str] = {}
    for text in values:
        key, sign, value = text.partition("=")
        if not (key and sign):
            raise click.UsageError(f"{option}: '{text}' is no KEY=VALUE")
        if key in pairs:
            raise click.UsageError(f"{option}: '{key}' is given twice")
        pairs[key] = value
    return pairs


def joined_selector(selectors: Iterable[str]) -> str | None:
    """Return the selector of options that may be repeated, or None without one."""
    return ",".join(part for part in selectors if part.strip()) or None
