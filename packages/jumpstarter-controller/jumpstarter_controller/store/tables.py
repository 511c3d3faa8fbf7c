"""The tables of the database.

Rule: what must never be is made impossible here: two live leases on one exporter, two objects of
one name. The migrations make these tables; a test compares the two.
"""

from datetime import UTC, datetime, timedelta

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    TypeDecorator,
    UniqueConstraint,
    and_,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Span(TypeDecorator[timedelta]):
    """A duration, as a number of microseconds."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: timedelta | None, dialect: Dialect) -> int | None:
        """Return the number for the database."""
        del dialect
        return None if value is None else value // MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> timedelta | None:
        """Return the duration."""
        del dialect
        return None if value is None else timedelta(microseconds=value)


class Instant(TypeDecorator[datetime]):
    """A moment, as a number of microseconds since 1970: every database keeps it exactly."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Return the number for the database."""
        del dialect
        return None if value is None else (value - EPOCH) // MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """Return the moment."""
        del dialect
        return None if value is None else EPOCH + timedelta(microseconds=value)


metadata = MetaData()

lab = Table(
    "lab",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("revision", BigInteger, nullable=False),
)

clients = Table(
    "clients",
    metadata,
    Column("uid", String, primary_key=True),
    Column("namespace", String, nullable=False),
    Column("name", String, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("username", String),
    Column("created", Instant, nullable=False),
    Column("token_generation", Integer, nullable=False),
    UniqueConstraint("namespace", "name", name="one_client_per_name"),
)

exporters = Table(
    "exporters",
    metadata,
    Column("uid", String, primary_key=True),
    Column("namespace", String, nullable=False),
    Column("name", String, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("username", String),
    Column("enabled", Boolean, nullable=False),
    Column("created", Instant, nullable=False),
    Column("token_generation", Integer, nullable=False),
    Column("devices", JSON, nullable=False),
    Column("status", Integer),
    Column("status_message", String, nullable=False),
    Column("last_seen", Instant),
    Column("online", Boolean, nullable=False),
    Column("lost", Boolean, nullable=False),
    Column("fence", BigInteger, nullable=False),
    UniqueConstraint("namespace", "name", name="one_exporter_per_name"),
)

leases = Table(
    "leases",
    metadata,
    Column("uid", String, primary_key=True),
    Column("namespace", String, nullable=False),
    Column("name", String, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("created", Instant, nullable=False),
    Column("client", String, nullable=False),
    Column("client_uid", String, nullable=False),
    Column("selector", String, nullable=False),
    Column("exporter_name", String),
    Column("duration", Span),
    Column("begin_time", Instant),
    Column("end_time", Instant),
    Column("tags", JSON, nullable=False),
    Column("context", JSON, nullable=False),
    Column("allow_disabled", Boolean, nullable=False),
    Column("exporter", String),
    Column("exporter_uid", String, ForeignKey("exporters.uid", ondelete="CASCADE")),
    Column("effective_begin", Instant),
    Column("effective_end", Instant),
    Column("priority", Integer, nullable=False),
    Column("spot", Boolean, nullable=False),
    Column("released", Boolean, nullable=False),
    Column("conditions", JSON, nullable=False),
    Column("fence", BigInteger, nullable=False),
    UniqueConstraint("namespace", "name", name="one_lease_per_name"),
    UniqueConstraint("sequence", name="one_lease_per_sequence"),
)

_LIVE = and_(leases.c.exporter_uid.is_not(None), leases.c.effective_end.is_(None))

Index(
    "one_live_lease_per_exporter",
    leases.c.exporter_uid,
    unique=True,
    sqlite_where=_LIVE,
    postgresql_where=_LIVE,
)
Index("leases_by_end", leases.c.effective_end)
Index("leases_by_exporter", leases.c.exporter_uid)

policies = Table(
    "policies",
    metadata,
    Column("namespace", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("exporter_selector", String, nullable=False),
    Column("rules", JSON, nullable=False),
)

routers = Table(
    "routers",
    metadata,
    Column("name", String, primary_key=True),
    Column("endpoint", String, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("last_seen", Instant, nullable=False),
    Column("load", Float, nullable=False),
)
