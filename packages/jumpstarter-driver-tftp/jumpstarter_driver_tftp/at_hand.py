"""What the kernel has at hand: paths and file contents that can be had without waiting for a disk.

A boot loader that asks for a small file is answered at once, without a worker thread: Linux opens
a path only if it knows the whole of it already (openat2(2), RESOLVE_CACHED), and reads only pages
that it holds (preadv2(2), RWF_NOWAIT). Where the answer is no, or nobody can tell, the functions
here return None, and the caller asks again in a worker thread.
"""

import ctypes
import errno
import os
import stat
import struct
import sys
from functools import lru_cache

_OPENAT2 = 437  # the same on every architecture
_HOW = struct.Struct("@QQQ")
_HOW_BYTES = _HOW.size
_HERE = -100  # AT_FDCWD: paths begin where the process is

_NO_LINKS = 0x02 | 0x04  # RESOLVE_NO_MAGICLINKS and RESOLVE_NO_SYMLINKS
_BENEATH = 0x08
_CACHED = 0x20

_FOLDER = _HOW.pack(getattr(os, "O_PATH", 0) | os.O_DIRECTORY | os.O_CLOEXEC, 0, _CACHED)
_LOOK = _HOW.pack(
    getattr(os, "O_PATH", 0) | os.O_NOFOLLOW | os.O_CLOEXEC, 0, _NO_LINKS | _BENEATH | _CACHED
)
_READ = _HOW.pack(
    os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC,
    0,
    _NO_LINKS | _BENEATH | _CACHED,
)

_NO_WAIT = getattr(os, "RWF_NOWAIT", None)
_CANNOT_TELL = {errno.EAGAIN, errno.EOPNOTSUPP, errno.ENOSYS}
_IN_MEMORY = {0x01021994, 0x858458F6}  # tmpfs and ramfs: see statfs(2)
_STATFS_BYTES = 256  # more than the structure has anywhere; its first word is the type

_libc = ctypes.CDLL(None)
_syscall = _libc.syscall
_encoded = lru_cache(maxsize=64)(os.fsencode)  # of the few directories that are served
_linux = sys.platform == "linux"
_devices: dict[int, bool] = {}  # whether what lies on a device is in memory


def open_regular(root: str, path: str) -> tuple[int, os.stat_result] | None:
    """Open a regular file below `root` for reading, and return its descriptor and what it is.

    None when it has to be looked for on a disk, is no regular file, is reached by a symbolic link,
    or is not there: which of these, the slow way tells.
    """
    if not _linux:
        return None
    folder = _open(_HERE, _encoded(root), _FOLDER)
    if folder < 0:
        return None
    try:
        # Opening a device or a FIFO can already have an effect, so its kind is looked at first.
        below = os.fsencode(path)
        look = _open(folder, below, _LOOK)
        if look < 0:
            return None
        try:
            seen = os.fstat(look)
        finally:
            os.close(look)
        descriptor = _open(folder, below, _READ) if stat.S_ISREG(seen.st_mode) else -1
    finally:
        os.close(folder)
    if descriptor < 0:
        return None
    info = os.fstat(descriptor)
    if not stat.S_ISREG(info.st_mode):
        os.close(descriptor)
        return None
    return descriptor, info


def read(descriptor: int, limit: int, position: int, device: int) -> bytes | None:
    """Return bytes of a file that lies on `device`, or None when it would have to be waited for.

    Raises:
        OSError: the file cannot be read.
    """
    if _NO_WAIT is None:
        return None
    if _is_in_memory(descriptor, device):
        return os.pread(descriptor, limit, position)
    buffer = bytearray(limit)
    try:
        count = os.preadv(descriptor, [buffer], position, _NO_WAIT)
    except OSError as error:
        if error.errno in _CANNOT_TELL:
            return None
        raise
    return memoryview(buffer)[:count].tobytes()


def _open(folder: int, path: bytes, how: bytes) -> int:
    return _syscall(_OPENAT2, folder, path, how, _HOW_BYTES)


def _is_in_memory(descriptor: int, device: int) -> bool:
    known = _devices.get(device)
    if known is None:
        known = _devices[device] = _linux and _type(descriptor) in _IN_MEMORY
    return known


def _type(descriptor: int) -> int:
    buffer = ctypes.create_string_buffer(_STATFS_BYTES)
    if _libc.fstatfs(descriptor, buffer):
        return 0
    return ctypes.c_long.from_buffer(buffer).value & 0xFFFFFFFF
