"""Prints what a controller told of exporters and leases, in the form that was asked for."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import click
from pydantic import BaseModel

from jumpstarter_cli.output import NOTHING, print_data, print_lines, print_table


@dataclass
class Rows:
    """Takes the columns and rows that records add to a table."""

    columns: list[str] = field(default_factory=list[str])
    rows: list[tuple[str, ...]] = field(default_factory=list[tuple[str, ...]])

    def add_column(self, heading: str) -> None:
        """Add a column with this heading."""
        self.columns.append(heading)

    def add_row(self, *cells: str) -> None:
        """Add a row of these cells."""
        self.rows.append(cells)


class Record(Protocol):
    """A record, or a list of them, that can say what stands in a table."""

    @property
    def model_dump(self) -> Callable[..., dict[str, Any]]:
        """Return it as plain values."""
        ...

    @property
    def rich_add_columns(self) -> Callable[..., None]:
        """Add its columns to a table."""
        ...

    @property
    def rich_add_rows(self) -> Callable[..., None]:
        """Add its rows to a table."""
        ...

    @property
    def rich_add_names(self) -> Callable[[list[str]], None]:
        """Add its names to a list."""
        ...


def print_record(record: Record, output: str | None, empty: str = NOTHING) -> None:
    """Print a record, or a list of them: `json`, `yaml`, `name`, or a table."""
    match output:
        case None:
            table = Rows()
            record.rich_add_columns(table)
            record.rich_add_rows(table)
            print_table(table.columns, table.rows, empty=empty)
        case "name":
            names = list[str]()
            record.rich_add_names(names)
            print_lines(names)
        case form:
            print_data(record.model_dump(mode="json", by_alias=True), form)


def warn_of_deprecated(labels: dict[str, str]) -> None:
    """Say on standard error which labels should not be used any more."""
    for label, message in sorted(labels.items()):
        click.echo(f"Warning: label '{label}' is deprecated: {message}", err=True)


def deprecated(*records: BaseModel) -> dict[str, str]:
    """Return the deprecated labels of all the records, with what is said of them."""
    found: dict[str, str] = {}
    for record in records:
        found |= getattr(record, "deprecated_labels", {})
    return found
