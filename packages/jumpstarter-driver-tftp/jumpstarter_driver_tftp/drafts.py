"""A file without a name, in the directory where it gets one when it is complete.

Where the file system can (`O_TMPFILE`), nothing but the descriptor knows the file, so that even a
process that is killed leaves nothing. Elsewhere it has a hidden name that nobody can guess, which
is never served, until then. All calls here block: they belong into a worker thread.
"""

import ctypes
import errno
import os
import secrets
import stat
from contextlib import ExitStack, suppress
from threading import Lock

from jumpstarter_driver_tftp.errors import FileRefused
from jumpstarter_driver_tftp.names import UNFINISHED
from jumpstarter_driver_tftp.packet import TftpErrorCode

EXISTS = (TftpErrorCode.FILE_EXISTS, "File already exists")
IN_THE_WAY = (TftpErrorCode.ACCESS_VIOLATION, "Not a file")

MODE = 0o644
"""Who may read a new file, less what the umask says."""

_NAMELESS = getattr(os, "O_TMPFILE", None)
_CANNOT_BE_NAMELESS = {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT}
_CANNOT_LINK = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS}
_RENAME_NOREPLACE = 1


def new_hidden_name() -> str:
    """Return a name that nobody can guess, for a file that is never served."""
    return UNFINISHED + secrets.token_hex(16)


class Draft:
    """A file that has no name yet, and the directory in which `publish` gives it one.

    A lock keeps `close` from a descriptor that a thread still uses: its number might already mean
    another file. What comes after `close` does nothing.
    """

    def __init__(self, name: str, *, overwrite: bool) -> None:
        """Prepare a file whose name will be `name`; it takes a `close`, whatever comes before."""
        self._name = name
        self._overwrite = overwrite
        self._lock = Lock()
        self._closed = False
        self._opened = ExitStack()
        self._hidden: str | None = None  # the name that the file has meanwhile, if it needs one
        self._folder = self._descriptor = -1

    def begin(self, folder: int) -> None:
        """Begin the file in the directory with the descriptor `folder`.

        Raises:
            FileRefused: something of that name is there, and cannot be replaced.
            OSError: the directory takes no files.
        """
        with self._lock:
            if self._closed:
                return
            self._folder = os.dup(folder)
            self._opened.callback(os.close, self._folder)
            self._opened.callback(self._forget_hidden)
            self._check()
            self._descriptor = self._open()
            self._opened.callback(os.close, self._descriptor)

    def write(self, data: bytes | bytearray) -> None:
        """Append to the file."""
        with self._lock, memoryview(data) as left:
            done = 0
            while done < len(left) and not self._closed:
                done += os.write(self._descriptor, left[done:])

    def publish(self) -> None:
        """Give the file its name, now that it is complete.

        Raises:
            FileExistsError: something of that name is there meanwhile.
            FileRefused: it is nothing that may be replaced.
            OSError: the file cannot be kept.
        """
        with self._lock:
            if self._closed:
                return
            os.close(os.dup(self._descriptor))  # a network's file system tells now what failed
            try:
                self._link(self._name)
            except FileExistsError:
                if not self._overwrite:
                    raise
                self._replace()

    def close(self) -> None:
        """Forget the file, unless it has its name."""
        with self._lock:
            self._closed = True
            self._opened.close()

    def _forget_hidden(self) -> None:
        if self._hidden is not None:
            with suppress(FileNotFoundError):
                os.unlink(self._hidden, dir_fd=self._folder)

    def _check(self) -> None:
        """Refuse when the file could not get its name now."""
        try:
            mode = os.stat(self._name, dir_fd=self._folder, follow_symlinks=False).st_mode
        except FileNotFoundError:
            return
        if not self._overwrite:
            raise FileRefused(*EXISTS)
        # A link is somebody's arrangement: neither it nor the file that it means is replaced.
        if not stat.S_ISREG(mode):
            raise FileRefused(*IN_THE_WAY)

    def _open(self) -> int:
        # A file without a name gets one through its entry in /proc.
        if _NAMELESS is not None and os.path.exists("/proc/self/fd"):
            flags = _NAMELESS | os.O_WRONLY | os.O_CLOEXEC
            try:
                return os.open(".", flags, MODE, dir_fd=self._folder)
            except OSError as error:
                if error.errno not in _CANNOT_BE_NAMELESS:
                    raise
        self._hidden = new_hidden_name()
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(self._hidden, flags, MODE, dir_fd=self._folder)

    def _link(self, name: str) -> None:
        """Give the file a further name, which nothing else has."""
        if self._hidden is None:
            # This follows the entry to the file; the name itself is never followed.
            os.link(f"/proc/self/fd/{self._descriptor}", name, dst_dir_fd=self._folder)
            return
        try:
            os.link(self._hidden, name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        except OSError as error:
            if error.errno not in _CANNOT_LINK:
                raise
            _rename_to_new(self._folder, self._hidden, name)
            self._hidden = None

    def _replace(self) -> None:
        self._check()
        if self._hidden is None:
            hidden = new_hidden_name()
            self._link(hidden)
            self._hidden = hidden
        os.replace(self._hidden, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        self._hidden = None


def _rename_to_new(folder: int, old: str, new: str) -> None:
    """Rename within a directory of a file system without hard links, replacing nothing."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)  # Linux has it
    if rename is None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
    if rename(folder, os.fsencode(old), folder, os.fsencode(new), _RENAME_NOREPLACE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
