"""The lab in an SQL database, by default one SQLite file.

Rule: `commit` is one transaction that begins by taking the next revision, so that it fails as a
whole if anybody else has written. What was committed is on the disk.
"""

import sqlite3
from collections.abc import AsyncGenerator, Generator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Executable,
    RowMapping,
    Table,
    bindparam,
    delete,
    event,
    func,
    insert,
    make_url,
    select,
    update,
)
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from jumpstarter_controller.errors import StoreUnavailable
from jumpstarter_controller.objects import Client, Exporter, Lease, Policy, Router

from . import tables
from .protocol import Change, Conflict, LeaseQuery, Snapshot, Stored
from .rows import Row, client_of, exporter_of, lease_of, policy_of, router_of, row_of
from .schema import bring_forward

TABLES: dict[type, Table] = {
    Client: tables.clients,
    Exporter: tables.exporters,
    Policy: tables.policies,
    Router: tables.routers,
    Lease: tables.leases,
}
"""In the order in which rows are written: a lease refers to its exporter."""

BUSY_MILLISECONDS = 10_000


@asynccontextmanager
async def open_store(place: Path | str) -> AsyncGenerator["SqlStore"]:
    """Open the database `place`, a file of SQLite or a URL of SQLAlchemy, and close it after.

    It is made if it is not there, and brought to the tables of this release. Raises
    StoreUnavailable, or WrongSchema for the database of a newer release.
    """
    url = URL.create("sqlite+aiosqlite", database=str(place)) if isinstance(place, Path) else None
    url = url or make_url(str(place))
    where = url.database if url.drivername.startswith("sqlite") else url.render_as_string()
    engine = create_async_engine(url, pool_size=4, max_overflow=0)
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
    store = SqlStore(engine, where or "the database in memory")
    try:
        await store.prepare()
        yield store
    finally:
        await engine.dispose()


def _prepare_sqlite(connection: DBAPIConnection, _: object) -> None:
    # The driver's own transactions would end before each change of a table: they are switched off,
    # and SQLAlchemy's begin says BEGIN.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout = {BUSY_MILLISECONDS}",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


class SqlStore:
    """A database; made by `open_store`."""

    def __init__(self, engine: AsyncEngine, where: str) -> None:
        """Use `engine`; `where` names the database in errors."""
        self._engine = engine
        self._where = where

    async def prepare(self) -> None:
        """Bring the database to the tables of this release."""
        with self._translated():
            async with self._engine.begin() as connection:
                await connection.run_sync(bring_forward, self._where)

    async def load(self) -> Snapshot:
        """Return the state that decisions are made from."""
        live = tables.leases.c.effective_end.is_(None)
        with self._translated():
            async with self._engine.connect() as connection:
                revision = await connection.scalar(select(tables.lab.c.revision))
                sequence = await connection.scalar(select(func.max(tables.leases.c.sequence)))
                return Snapshot(
                    revision=revision or 0,
                    sequence=sequence or 0,
                    clients=[client_of(row) for row in await _all(connection, tables.clients)],
                    exporters=[
                        exporter_of(row) for row in await _all(connection, tables.exporters)
                    ],
                    policies=[policy_of(row) for row in await _all(connection, tables.policies)],
                    routers=[router_of(row) for row in await _all(connection, tables.routers)],
                    leases=[lease_of(row) for row in await _all(connection, tables.leases, live)],
                    oldest_end=await _oldest_end(connection),
                )

    async def commit(self, revision: int, changes: Sequence[Change]) -> int:
        """Write `changes`, which were decided at `revision`; return the new revision."""
        with self._translated():
            async with self._engine.begin() as connection:
                taken = await connection.execute(_TAKE, {"decided": revision, "next": revision + 1})
                if taken.rowcount != 1:
                    raise Conflict
                for step in _steps(changes):
                    if step.rows:
                        await connection.execute(step.statement, step.rows)
        return revision + 1

    async def lease(self, namespace: str, name: str) -> Lease | None:
        """Return one lease, ended or not."""
        with self._translated():
            async with self._engine.connect() as connection:
                found = await connection.execute(_LEASE, {"namespace": namespace, "name": name})
                row = found.mappings().one_or_none()
        return None if row is None else lease_of(_row(row))

    async def leases(self, query: LeaseQuery) -> Sequence[Lease]:
        """Return leases, ended or not, in order of name."""
        columns = tables.leases.c
        wanted = select(tables.leases).where(
            columns.namespace == query.namespace, columns.name > query.after
        )
        if query.client is not None:
            wanted = wanted.where(columns.client == query.client)
        with self._translated():
            async with self._engine.connect() as connection:
                rows = await connection.execute(wanted.order_by(columns.name).limit(query.limit))
                return [lease_of(_row(row)) for row in rows.mappings()]

    async def purge(self, before: datetime, limit: int) -> datetime | None:
        """Remove up to `limit` leases that ended before; return when the oldest one left ended."""
        columns = tables.leases.c
        old = select(columns.uid).where(columns.effective_end <= before)
        old = old.order_by(columns.effective_end).limit(limit)
        with self._translated():
            async with self._engine.begin() as connection:
                await connection.execute(delete(tables.leases).where(columns.uid.in_(old)))
                return await _oldest_end(connection)

    @contextmanager
    def _translated(self) -> Generator[None]:
        try:
            yield
        except DBAPIError as error:
            raise StoreUnavailable(f"{self._where}: {error.orig}") from error
        except (SQLAlchemyError, sqlite3.Error, OSError) as error:
            raise StoreUnavailable(f"{self._where}: {error}") from error


_TAKE = (
    update(tables.lab)
    .where(tables.lab.c.revision == bindparam("decided"))
    .values(revision=bindparam("next"))
)

_LEASE = select(tables.leases).where(
    tables.leases.c.namespace == bindparam("namespace"),
    tables.leases.c.name == bindparam("name"),
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
    kept = [one for one in changes if one.old is not None and one.new and one not in replaced]
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


def _renamed(item: Stored) -> Row:
    return {**_key(item), **{f"to_{name}": value for name, value in row_of(item).items()}}


async def _all(
    connection: AsyncConnection, table: Table, *wanted: ColumnElement[bool]
) -> list[Row]:
    return [
        _row(row) for row in (await connection.execute(select(table).where(*wanted))).mappings()
    ]


async def _oldest_end(connection: AsyncConnection) -> datetime | None:
    return await connection.scalar(select(func.min(tables.leases.c.effective_end)))


def _row(mapping: RowMapping) -> Row:
    return {str(name): value for name, value in mapping.items()}
