"""What a beforeLease hook wants told to whoever enters the device's shell.

The hook finds a file's name in `JMP_MOTD_FILE`, and what it writes there follows the exporter's own
message of the day.
"""

import logging
import os
import stat
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

logger = logging.getLogger(__name__)

LONGEST: Final = 64 * 1024
"""How many bytes of a hook's file are taken."""


@contextmanager
def motd_file() -> Generator[Path]:
    """Yield a path that a hook can write to, as long as the context lasts; there is no file yet."""
    with tempfile.TemporaryDirectory(prefix="jumpstarter-") as folder:
        yield Path(folder) / "motd"


def written(path: Path) -> str:
    """Return what a hook wrote to `path`, cut to `LONGEST` bytes; nothing when it is no file."""
    try:
        with open(path, "rb", opener=_careful) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return ""
            content = file.read(LONGEST + 1)
    except OSError:
        return ""
    if len(content) > LONGEST:
        logger.warning("the hook's message is cut to %d bytes", LONGEST)
    return content[:LONGEST].decode("utf-8", errors="replace").rstrip()


def _careful(path: str, flags: int) -> int:
    """Open a file that somebody else made: wait for nobody, and follow no link."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW)


def joined(motd: str | None, more: str) -> str | None:
    """Return the exporter's own message followed by that of its hook."""
    return "\n".join(part for part in ((motd or "").rstrip(), more) if part) or None
