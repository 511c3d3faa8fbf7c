"""Exporters and leases as rows of a table for people."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from jumpstarter.model.lease_progress import LeaseTimes
from jumpstarter.model.status import ExporterStatus


class Table(Protocol):
    """What is needed of `rich.table.Table`."""

    @property
    def add_column(self) -> Callable[[str], object]:
        """Add a column with this heading."""
        ...

    @property
    def add_row(self) -> Callable[..., object]:
        """Add a row of these cells."""
        ...


class LeaseRow(Protocol):
    """What a row says of a lease."""

    name: str
    selector: str
    client: str
    exporter: str
    tags: dict[str, str]
    effective_begin_time: datetime | None
    effective_end_time: datetime | None

    @property
    def times(self) -> LeaseTimes:
        """When it begins and ends."""
        ...

    def get_status(self) -> str:
        """Return one word for how it stands."""
        ...


class ExporterRow(Protocol):
    """What a row says of an exporter."""

    name: str
    labels: dict[str, str]
    online: bool
    enabled: bool

    @property
    def status(self) -> ExporterStatus | None:
        """What it reported last."""
        ...

    @property
    def lease(self) -> LeaseRow | None:
        """The lease that holds it."""
        ...


@dataclass(frozen=True, slots=True)
class WithOptions:
    """Which columns a table of exporters has besides names and labels."""

    show_online: bool = False
    show_leases: bool = False
    show_status: bool = False
    show_disabled: bool = False


def exporter_columns(table: Table, options: WithOptions) -> None:
    """Add the columns of a table of exporters."""
    for heading, shown in (
        ("NAME", True),
        ("ENABLED", options.show_disabled),
        ("ONLINE", options.show_online),
        ("STATUS", options.show_status),
        ("LABELS", True),
        ("LEASED BY", options.show_leases),
        ("LEASE STATUS", options.show_leases),
        ("RELEASE TIME", options.show_leases),
    ):
        if shown:
            table.add_column(heading)


def exporter_cells(exporter: ExporterRow, options: WithOptions) -> Iterator[str]:
    """Yield the cells of an exporter's row."""
    yield exporter.name
    if options.show_disabled:
        yield _yes(exporter.enabled)
    if options.show_online:
        yield _yes(exporter.online)
    if options.show_status:
        yield "UNKNOWN" if exporter.status is None else str(exporter.status)
    yield _pairs(exporter.labels)
    if options.show_leases:
        yield from _holder(exporter.lease)


def lease_columns(table: Table) -> None:
    """Add the columns of a table of leases."""
    for heading in ("NAME", "SELECTOR", "EXPIRES AT", "REMAINING", "CLIENT", "EXPORTER", "TAGS"):
        table.add_column(heading)


def lease_cells(lease: LeaseRow, now: datetime | None = None) -> Iterator[str]:
    """Yield the cells of a lease's row, by default as of this moment."""
    end = _end(lease)
    yield lease.name
    yield lease.selector
    yield _local(end)
    yield "" if end is None else span_text(end - (now or datetime.now(UTC)))
    yield lease.client
    yield lease.exporter
    yield _pairs(lease.tags)


def span_text(span: timedelta) -> str:
    """Return a time that remains, in whole minutes until there is none: `1d 2h 3m`, `45s`."""
    seconds = int(span.total_seconds())
    if seconds <= 0:
        return "expired"
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds}s"
    minutes, hours, days = seconds // 60 % 60, seconds // 3600 % 24, seconds // 86400
    parts = ((days, "d"), (hours, "h"), (minutes, "m"))
    return " ".join(f"{number}{unit}" for number, unit in parts if number)


def _holder(lease: LeaseRow | None) -> Iterator[str]:
    if lease is None:
        yield from ("", "Available", "")
        return
    yield lease.client
    yield lease.get_status()
    yield _local(_end(lease))


def _end(lease: LeaseRow) -> datetime | None:
    """Return when a lease ended, or will; None before it has begun."""
    if lease.effective_end_time is not None:
        return lease.effective_end_time
    return None if lease.effective_begin_time is None else lease.times.expires()


def _local(time: datetime | None) -> str:
    return "" if time is None else time.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _pairs(values: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(values.items()))


def _yes(value: bool) -> str:  # noqa: FBT001 - the thing that is written
    return "yes" if value else "no"
