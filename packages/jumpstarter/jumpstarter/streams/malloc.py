"""Lets the C library keep memory that was freed, for those who move megabytes in large pieces.

glibc gives large blocks back to the kernel when they are freed, and the kernel hands out zeroed
pages again, a fault each: for a stream of large chunks that costs more than copying them. See
mallopt(3). Other C libraries are left as they are.
"""

import ctypes
import os
from functools import cache
from typing import Final

KEPT_BYTES: Final = 32 << 20
"""How much freed memory each of the allocator's arenas may keep."""

HEAP_BYTES: Final = 4 << 20
"""Blocks up to this size come from memory that is kept."""

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3


@cache
def keep_freed_memory() -> bool:
    """Set the allocator of this process, and tell whether it is one that can be set."""
    if not _is_glibc() or {"MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"} & os.environ.keys():
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES) and mallopt(_M_MMAP_THRESHOLD, HEAP_BYTES))


def _is_glibc() -> bool:
    try:
        return bool(os.confstr("CS_GNU_LIBC_VERSION"))
    except (AttributeError, OSError, ValueError):
        return False
