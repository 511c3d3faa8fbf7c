"""Writes what was decided: which statements, in which order.

Rule: the first statement takes the next revision; if it cannot, somebody else has written, and
nothing is. The order is such that no constraint is broken in between.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import (
    ColumnElement,
    Connection,
    Executable,
    Table,
    bindparam,
    delete,
    insert,
    update,
)

from jumpstarter_controller.objects import Client, Exporter, Lease, Policy, Router

from . import tables
from .protocol import Change, Conflict, Stored
from .rows import Row, row_of

TABLES: dict[type, Table] = {
    Client: tables.clients,
    Exporter: tables.exporters,
    Policy: tables.policies,
    Router: tables.routers,
    Lease: tables.leases,
}
"""In the order in which rows are written: a lease refers to its exporter."""

_TAKE = (
    update(tables.lab)
    .where(tables.lab.c.revision == bindparam("decided"))
    .values(revision=bindparam("next"))
)


def _key_columns(table: Table) -> list[str]:
    return [column.name for column in table.primary_key.columns]


def _by_key(table: Table) -> list[ColumnElement[bool]]:
    return [table.c[name] == bindparam(f"key_{name}") for name in _key_columns(table)]


_INSERT = {kind: insert(table) for kind, table in TABLES.items()}
_DELETE = {kind: delete(table).where(*_by_key(table)) for kind, table in TABLES.items()}
_UPDATE = {
    kind: update(table)
    .where(*_by_key(table))
    .values({c.name: bindparam(f"to_{c.name}") for c in table.columns if not c.primary_key})
    for kind, table in TABLES.items()
}
_HEARD = (
    update(tables.exporters)
    .where(*_by_key(tables.exporters))
    .values(last_seen=bindparam("to_last_seen"))
)
"""Of an exporter that is as it was, only when it was heard is written."""


@dataclass(slots=True)
class _Step:
    """One statement and the rows that it is run for."""

    statement: Executable
    rows: list[Row]


def _steps(changes: Sequence[Change]) -> Iterator[_Step]:
    """Yield what writes `changes`, in an order in which no constraint is broken in between.

    What goes is first, then what sets an exporter free, then exporters before what holds them.
    """
    replaced = [one for one in changes if _is_another(one)]
    gone = [one.old for one in changes if one.old and (one.new is None or one in replaced)]
    for kind in reversed(TABLES):
        rows = [_key(item) for item in gone if type(item) is kind]
        yield _Step(_DELETE[kind], rows)
    heard = [one.new for one in changes if one.new and one.old is one.new]
    yield _Step(_HEARD, [_last_seen(item) for item in heard if isinstance(item, Exporter)])
    others = [one for one in changes if one.old is not one.new or isinstance(one.new, Router)]
    kept = [one for one in others if one.old is not None and one.new and one not in replaced]
    kept.sort(key=lambda one: not (isinstance(one.new, Lease) and one.new.ended))
    made = [one.new for one in changes if one.new and (one.old is None or one in replaced)]
    for kind in TABLES:
        news = [one.new for one in kept if one.new and type(one.new) is kind]
        yield _Step(_UPDATE[kind], [_renamed(item) for item in news])
        yield _Step(_INSERT[kind], [row_of(item) for item in made if type(item) is kind])


def _is_another(change: Change) -> bool:
    """Return whether the object was deleted, and another one of its name made."""
    match change:
        case Change(Client() | Exporter() | Lease() as old, Client() | Exporter() | Lease() as new):
            return old.uid != new.uid
        case _:
            return False


def _key(item: Stored) -> Row:
    return {f"key_{name}": getattr(item, name) for name in _key_columns(TABLES[type(item)])}


def _last_seen(exporter: Exporter) -> Row:
    return {**_key(exporter), "to_last_seen": exporter.last_seen}


def _renamed(item: Stored) -> Row:
    return {**_key(item), **{f"to_{name}": value for name, value in row_of(item).items()}}


def write(connection: Connection, revision: int, changes: Sequence[Change]) -> None:
    """Write `changes`, which were decided at `revision`, in the transaction of `connection`."""
    taken = connection.execute(_TAKE, {"decided": revision, "next": revision + 1})
    if taken.rowcount != 1:
        raise Conflict
    for step in _steps(changes):
        if step.rows:
            connection.execute(step.statement, step.rows)
