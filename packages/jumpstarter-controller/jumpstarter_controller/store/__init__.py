"""Where a lab is kept: the interface, and the SQL database behind it."""

import logging

# It tells of each of its own parts as it is imported, which is nobody's news.
logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)
