"""Brings a database to the tables of this release, in one transaction.

Rule: a database is only ever brought forward. One that a newer release made is refused and left as
it is.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from jumpstarter_controller.errors import WrongSchema

MIGRATIONS = Path(__file__).parent / "migrations"


def bring_forward(connection: Connection, where: str) -> None:
    """Run the migrations that `connection`'s database lacks; `where` names it in errors."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    script = ScriptDirectory.from_config(config)
    present = MigrationContext.configure(connection).get_current_heads()
    ours = {revision.revision for revision in script.walk_revisions()}
    unknown = sorted(set(present) - ours)
    if unknown:
        raise WrongSchema(
            f"{where}: the database has schema {', '.join(unknown)}, which a newer release made; "
            "install that release, or restore a backup made before"
        )
    if tuple(present) != tuple(script.get_heads()):
        command.upgrade(config, "head")
