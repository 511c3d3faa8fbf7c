"""What commands print: tables for people, JSON and YAML for programs, names for scripts."""

import json
from collections.abc import Sequence

import click
from jumpstarter.config.documents import dump

NOTHING = "No resources found."
_GAP = "  "


def print_data(data: object, form: str) -> None:
    """Print plain values as `json` or `yaml`."""
    if form == "json":
        click.echo(json.dumps(data, indent=4, ensure_ascii=False))
    else:
        click.echo(dump(data), nl=False)


def print_lines(lines: Sequence[object]) -> None:
    """Print one thing per line; nothing when there is none, so that scripts read nothing."""
    for line in lines:
        click.echo(line)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, empty: str) -> None:
    """Print rows below the names of their columns, or `empty` when there are none."""
    click.echo("\n".join(table(columns, rows)) if rows else empty)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table without borders."""
    every = [columns, *rows]
    widths = [max(len(row[index]) for row in every) for index in range(len(columns))]
    return [
        _GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in every
    ]
