"""The lab in an SQL database, by default one SQLite file.

Rule: `commit` is one transaction that begins by taking the next revision, so that it fails as a
whole if anybody else has written. What was committed is on the disk.
"""

import sqlite3
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread
from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Engine,
    RowMapping,
    Table,
    bindparam,
    create_engine,
    delete,
    func,
    make_url,
    select,
)
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from jumpstarter_controller.errors import StoreUnavailable
from jumpstarter_controller.objects import Lease

from . import tables
from .protocol import Change, Conflict, LeaseQuery, Snapshot
from .rows import Row, client_of, exporter_of, lease_of, policy_of, router_of
from .schema import bring_forward
from .sqlite import prepare, try_file
from .writing import write

T = TypeVar("T")


@asynccontextmanager
async def open_store(place: Path | str) -> AsyncGenerator["SqlStore"]:
    """Open the database `place`, a file of SQLite or a URL of SQLAlchemy, and close it after.

    It is made if it is not there, and brought to the tables of this release. Raises
    StoreUnavailable, or WrongSchema for the database of a newer release.
    """
    if isinstance(place, Path):
        with _translated(str(place)):
            await anyio.to_thread.run_sync(try_file, place)
        url = URL.create("sqlite+aiosqlite", database=str(place))
    else:
        url = make_url(place)
    where = url.database if url.drivername.startswith("sqlite") else url.render_as_string()
    engine = create_async_engine(url, pool_size=4, max_overflow=0)
    blocking: Engine | None = None
    if engine.dialect.name == "sqlite":
        blocking = create_engine(url.set(drivername="sqlite"), pool_size=1, max_overflow=0)
        prepare(engine.sync_engine)
        prepare(blocking)
    store = SqlStore(engine, blocking, where or "the database in memory")
    try:
        await store.bring_forward()
        yield store
    finally:
        await store.disconnect()


class SqlStore:
    """A database; made by `open_store`."""

    def __init__(self, engine: AsyncEngine, blocking: Engine | None, where: str) -> None:
        """Use `engine`, and `blocking`, if there is one, to write; errors name it as `where`."""
        self.engine = engine
        self.blocking = blocking
        self._where = where
        self._one_at_a_time = anyio.CapacityLimiter(1)

    async def bring_forward(self) -> None:
        """Bring the database to the tables of this release."""
        await self._transact(partial(bring_forward, where=self._where))

    async def disconnect(self) -> None:
        """Close all connections; the next use opens others."""
        await self.engine.dispose()
        if self.blocking is not None:
            await self._in_thread(self.blocking.dispose)

    async def _in_thread(self, operation: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(operation, limiter=self._one_at_a_time)

    async def _transact(self, operation: Callable[[Connection], T]) -> T:
        """Do `operation` in one transaction."""
        with self._translated():
            if self.blocking is not None:
                return await self._in_thread(partial(_in_transaction, self.blocking, operation))
            async with self.engine.begin() as connection:
                return await connection.run_sync(operation)

    async def load(self) -> Snapshot:
        """Return the state that decisions are made from."""
        live = tables.leases.c.effective_end.is_(None)
        with self._translated():
            async with self.engine.connect() as connection:
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
                    oldest_end=await connection.scalar(_OLDEST_END),
                )

    async def commit(self, revision: int, changes: Sequence[Change]) -> int:
        """Write `changes`, which were decided at `revision`; return the new revision."""
        await self._transact(partial(write, revision=revision, changes=changes))
        return revision + 1

    async def confirm(self, revision: int) -> None:
        """Raise Conflict if anybody has written since `revision`."""
        with self._translated():
            async with self.engine.connect() as connection:
                if await connection.scalar(select(tables.lab.c.revision)) != revision:
                    raise Conflict

    async def lease(self, namespace: str, name: str) -> Lease | None:
        """Return one lease, ended or not."""
        with self._translated():
            async with self.engine.connect() as connection:
                found = await connection.execute(_LEASE, {"namespace": namespace, "name": name})
                row = found.mappings().one_or_none()
        return None if row is None else lease_of(_row(row))

    async def leases_named(self, keys: Sequence[tuple[str, str]]) -> Sequence[Lease]:
        """Return those leases, ended or not, that have one of these namespaces and names."""
        return await self._transact(partial(_named, keys=keys))

    async def leases(self, query: LeaseQuery) -> Sequence[Lease]:
        """Return leases, ended or not, in order of name."""
        columns = tables.leases.c
        wanted = select(tables.leases).where(
            columns.namespace == query.namespace, columns.name > query.after
        )
        if query.client is not None:
            wanted = wanted.where(columns.client == query.client)
        with self._translated():
            async with self.engine.connect() as connection:
                rows = await connection.execute(wanted.order_by(columns.name).limit(query.limit))
                return [lease_of(_row(row)) for row in rows.mappings()]

    async def purge(self, before: datetime, limit: int) -> datetime | None:
        """Remove up to `limit` leases that ended before; return when the oldest one left ended."""
        return await self._transact(partial(_purge, before=before, limit=limit))

    def _translated(self) -> AbstractContextManager[None]:
        return _translated(self._where)


@contextmanager
def _translated(where: str) -> Generator[None]:
    """Raise what a database raises as StoreUnavailable."""
    try:
        yield
    except DBAPIError as error:
        raise StoreUnavailable(f"{where}: {error.orig}") from error
    except OSError as error:
        raise StoreUnavailable(f"{where}: {error.strerror or error}") from error
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise StoreUnavailable(f"{where}: {error}") from error


_OLDEST_END = select(func.min(tables.leases.c.effective_end))

_LEASE = select(tables.leases).where(
    tables.leases.c.namespace == bindparam("namespace"),
    tables.leases.c.name == bindparam("name"),
)


_NAMED = select(tables.leases).where(tables.leases.c.name.in_(bindparam("names", expanding=True)))


def _named(connection: Connection, keys: Sequence[tuple[str, str]]) -> list[Lease]:
    rows = connection.execute(_NAMED, {"names": [name for _, name in keys]})
    found = (lease_of(_row(row)) for row in rows.mappings())
    return [lease for lease in found if (lease.namespace, lease.name) in keys]


async def _all(
    connection: AsyncConnection, table: Table, *wanted: ColumnElement[bool]
) -> list[Row]:
    return [
        _row(row) for row in (await connection.execute(select(table).where(*wanted))).mappings()
    ]


def _row(mapping: RowMapping) -> Row:
    return {str(name): value for name, value in mapping.items()}


def _in_transaction(engine: Engine, operation: Callable[[Connection], T]) -> T:
    with engine.begin() as connection:
        return operation(connection)


def _purge(connection: Connection, before: datetime, limit: int) -> datetime | None:
    columns = tables.leases.c
    old = select(columns.uid).where(columns.effective_end <= before)
    old = old.order_by(columns.effective_end).limit(limit)
    connection.execute(delete(tables.leases).where(columns.uid.in_(old)))
    return connection.scalar(_OLDEST_END)
