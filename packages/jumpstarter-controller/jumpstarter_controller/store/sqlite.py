"""SQLite as the lab wants it: safe on the disk, and read while it is written.

Rule: one connection writes, in a thread of its own, a whole transaction at a time: through a
driver for an event loop each statement would change threads several times.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection

BUSY_MILLISECONDS = 10_000


def try_file(place: Path) -> None:
    """Open the file once, and make it, for its owner only, if it is not there.

    A connection of the driver that cannot be opened leaves a thread behind.
    """
    os.close(os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    with closing(sqlite3.connect(place)) as connection:
        connection.execute("PRAGMA schema_version")


def prepare(engine: Engine) -> None:
    """See to it that each connection of `engine` keeps what it commits."""
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)


def _prepare(connection: DBAPIConnection, _: object) -> None:
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


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")
