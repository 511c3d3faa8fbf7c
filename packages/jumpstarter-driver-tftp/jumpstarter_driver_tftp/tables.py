"""Requests as lines of a table, a line each. Pure."""

from collections.abc import Sequence
from datetime import datetime, tzinfo

from jumpstarter_driver_tftp.reports import Report, State
from jumpstarter_driver_tftp.wording import quoted, size_in_words, speed_in_words

_GAP = "  "
_COLUMNS = ("TIME", "CLIENT", "DOES", "BYTES", "SPEED", "AGAIN", "OUTCOME", "NAME", "OPTIONS")
_RIGHT = frozenset({"BYTES", "SPEED", "AGAIN"})
_WIDTHS = (8, 21, 5, 11, 11, 5, 8, 20, 0)
"""What each column takes at least; those who follow see one line after the other."""


def table(reports: Sequence[Report], zone: tzinfo | None = None) -> list[str]:
    """Return lines with headings, each column as wide as it must be; none when there is no report.

    Times are those of `zone`, or of where this runs.
    """
    if not reports:
        return []
    rows = [_COLUMNS, *(_cells(report, zone) for report in reports)]
    widths = [max(len(row[index]) for row in rows) for index in range(len(_COLUMNS))]
    return [_line(row, widths) for row in rows]


def headings() -> str:
    """Return the first line of a table that goes on."""
    return _line(_COLUMNS, _WIDTHS)


def row(report: Report, zone: tzinfo | None = None) -> str:
    """Return a line of a table that goes on."""
    return _line(_cells(report, zone), _WIDTHS)


def _cells(report: Report, zone: tzinfo | None) -> tuple[str, ...]:
    moved = report.done > 0
    return (
        datetime.fromtimestamp(report.began, zone).strftime("%H:%M:%S"),
        report.client,
        report.action or "-",
        size_in_words(report.done) if moved else "-",
        speed_in_words(report.done, report.seconds) if moved else "-",
        str(report.resent),
        _outcome(report),
        quoted(report.name, "") or "-",
        ",".join(f"{quoted(name, '')}={quoted(value, '')}" for name, value in report.granted),
    )


def _outcome(report: Report) -> str:
    if report.state in {State.REFUSED, State.ABORTED, State.FAILED}:
        return f"{report.state.value} ({report.code})"
    return report.state.value


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell.rjust(width) if name in _RIGHT else cell.ljust(width)
        for name, cell, width in zip(_COLUMNS, cells, widths, strict=True)
    ]
    return _GAP.join(padded).rstrip()
