"""The history of the tables; Alembic runs what a database lacks."""
