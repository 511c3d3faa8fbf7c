"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

LIVE = sa.text("exporter_uid IS NOT NULL AND effective_end IS NULL")


def upgrade() -> None:
    """Make all tables."""
    op.create_table(
        "clients",
        sa.Column("uid", sa.String(), primary_key=True),
        sa.Column("namespace", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("username", sa.String()),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("token_generation", sa.Integer(), nullable=False),
        sa.UniqueConstraint("namespace", "name", name="one_client_per_name"),
    )
    op.create_table(
        "exporters",
        sa.Column("uid", sa.String(), primary_key=True),
        sa.Column("namespace", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("username", sa.String()),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("token_generation", sa.Integer(), nullable=False),
        sa.Column("devices", sa.JSON(), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("status_message", sa.String(), nullable=False),
        sa.Column("last_seen", sa.BigInteger()),
        sa.Column("online", sa.Boolean(), nullable=False),
        sa.Column("lost", sa.Boolean(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("namespace", "name", name="one_exporter_per_name"),
    )
    op.create_table(
        "lab",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "policies",
        sa.Column("namespace", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("exporter_selector", sa.String(), nullable=False),
        sa.Column("rules", sa.JSON(), nullable=False),
    )
    op.create_table(
        "routers",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("endpoint", sa.String(), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("last_seen", sa.BigInteger(), nullable=False),
        sa.Column("load", sa.Float(), nullable=False),
    )
    op.create_table(
        "leases",
        sa.Column("uid", sa.String(), primary_key=True),
        sa.Column("namespace", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("client", sa.String(), nullable=False),
        sa.Column("client_uid", sa.String(), nullable=False),
        sa.Column("selector", sa.String(), nullable=False),
        sa.Column("exporter_name", sa.String()),
        sa.Column("duration", sa.BigInteger()),
        sa.Column("begin_time", sa.BigInteger()),
        sa.Column("end_time", sa.BigInteger()),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("context", sa.JSON(), nullable=False),
        sa.Column("allow_disabled", sa.Boolean(), nullable=False),
        sa.Column("exporter", sa.String()),
        sa.Column("exporter_uid", sa.String(), sa.ForeignKey("exporters.uid", ondelete="CASCADE")),
        sa.Column("effective_begin", sa.BigInteger()),
        sa.Column("effective_end", sa.BigInteger()),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("spot", sa.Boolean(), nullable=False),
        sa.Column("released", sa.Boolean(), nullable=False),
        sa.Column("conditions", sa.JSON(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("namespace", "name", name="one_lease_per_name"),
        sa.UniqueConstraint("sequence", name="one_lease_per_sequence"),
    )
    op.create_index(
        "one_live_lease_per_exporter",
        "leases",
        ["exporter_uid"],
        unique=True,
        sqlite_where=LIVE,
        postgresql_where=LIVE,
    )
    op.create_index("leases_by_end", "leases", ["effective_end"])
    op.create_index("leases_by_exporter", "leases", ["exporter_uid"])
    op.execute("INSERT INTO lab (id, revision) VALUES (1, 0)")


def downgrade() -> None:
    """Refuse: a database is only brought forward."""
    raise NotImplementedError("restore a backup instead")
