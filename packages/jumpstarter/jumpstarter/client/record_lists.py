"""Lists of exporters and of leases, as a controller's pages and as tables."""

from collections.abc import Callable
from typing import Self

from jumpstarter_protocol import client_pb2
from pydantic import BaseModel, Field

from jumpstarter.model.selectors import Operator, Requirement, parse_selector, selector_contains

from .records import Exporter, Lease
from .tables import Table, WithOptions


class ExporterList(BaseModel):
    """Exporters, and which columns their table has."""

    exporters: list[Exporter]
    next_page_token: str | None = Field(default=None, exclude=True)
    include_online: bool = Field(default=False, exclude=True)
    include_leases: bool = Field(default=False, exclude=True)
    include_status: bool = Field(default=False, exclude=True)
    include_disabled: bool = Field(default=False, exclude=True)

    @classmethod
    def from_protobuf(cls, data: client_pb2.ListExportersResponse) -> Self:
        """Return one page."""
        return cls(
            exporters=[Exporter.from_protobuf(item) for item in data.exporters],
            next_page_token=data.next_page_token,
        )

    def rich_add_columns(self, table: Table) -> None:
        """Add the columns that are wanted."""
        Exporter.rich_add_columns(table, self._options)

    def rich_add_rows(self, table: Table) -> None:
        """Add a row for each; those that are disabled only when they are wanted."""
        for exporter in self.exporters:
            if exporter.enabled or self.include_disabled:
                exporter.rich_add_rows(table, self._options)

    def rich_add_names(self, names: list[str]) -> None:
        """Add the name of each; those that are disabled only when they are wanted."""
        for exporter in self.exporters:
            if exporter.enabled or self.include_disabled:
                exporter.rich_add_names(names)

    @property
    def _options(self) -> WithOptions:
        return WithOptions(
            show_online=self.include_online,
            show_leases=self.include_leases,
            show_status=self.include_status,
            show_disabled=self.include_disabled,
        )


class LeaseList(BaseModel):
    """Leases."""

    leases: list[Lease]
    next_page_token: str | None = Field(default=None, exclude=True)

    @classmethod
    def from_protobuf(cls, data: client_pb2.ListLeasesResponse) -> Self:
        """Return one page."""
        return cls(
            leases=[Lease.from_protobuf(item) for item in data.leases],
            next_page_token=data.next_page_token,
        )

    def filter_by_client(self, client_name: str) -> Self:
        """Return those that this client holds."""
        return self._only(lambda lease: lease.client == client_name)

    def filter_by_selector(self, filter_selector: str | None) -> Self:
        """Return those whose own selector states all but the equalities of `filter_selector`.

        A controller compares equalities with a lease's labels, among which its tags are, and knows
        nothing of the rest. Raises SelectorError for malformed text.
        """
        rest = [item for item in parse_selector(filter_selector or "") if not _is_equality(item)]
        if not rest:
            return self
        wanted = ",".join(map(_text, rest))
        return self._only(lambda lease: selector_contains(lease.requirements, wanted))

    @classmethod
    def rich_add_columns(cls, table: Table) -> None:
        """Add the columns."""
        Lease.rich_add_columns(table)

    def rich_add_rows(self, table: Table) -> None:
        """Add a row for each."""
        for lease in self.leases:
            lease.rich_add_rows(table)

    def rich_add_names(self, names: list[str]) -> None:
        """Add the name of each."""
        for lease in self.leases:
            lease.rich_add_names(names)

    def _only(self, wanted: Callable[[Lease], bool]) -> Self:
        return self.model_copy(update={"leases": list(filter(wanted, self.leases))})


def _is_equality(item: Requirement) -> bool:
    return item.operator is Operator.EQUALS


def _text(item: Requirement) -> str:
    match item.operator:
        case Operator.EXISTS:
            return item.key
        case Operator.NOT_EXISTS:
            return f"!{item.key}"
        case Operator.IN | Operator.NOT_IN:
            return f"{item.key} {item.operator} ({','.join(item.values)})"
        case operator:
            return f"{item.key}{operator}{item.values[0]}"
