r"""Which file a request's name means. Pure: it never looks at a file system.

A name is a path below the root of what is served. A leading slash means that root, since boot
loaders ask for `/boot.img`; a back-slash separates like a slash, since others ask for
`\Boot\BCD`. No name means anything above the root.
"""

from jumpstarter_driver_tftp.errors import FileRefused
from jumpstarter_driver_tftp.packet import TftpErrorCode

NOT_FOUND = (TftpErrorCode.FILE_NOT_FOUND, "File not found")
NOT_A_FILE = (TftpErrorCode.FILE_NOT_FOUND, "Not a file")
FORBIDDEN = (TftpErrorCode.ACCESS_VIOLATION, "Access violation")
FILE_CHANGED = (TftpErrorCode.NOT_DEFINED, "File changed while it was sent")

UNFINISHED = ".tftp-upload-"
"""How the name of a file begins that is still being written; none such is ever served."""


def path_below_root(name: str) -> tuple[str, ...]:
    """Return the components of the path that `name` means; there is at least one.

    Raises:
        FileRefused: a component is `..`, or there is no component, or a NUL.
    """
    parts = tuple(part for part in name.replace("\\", "/").split("/") if part not in {"", "."})
    if ".." in parts:
        raise FileRefused(*FORBIDDEN)
    if not parts or "\0" in name:
        raise FileRefused(*NOT_FOUND)
    return parts


def is_unfinished(name: str) -> bool:
    """Tell whether a file by this name, without directories, is one that is being written."""
    return name.startswith(UNFINISHED)
