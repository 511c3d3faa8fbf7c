"""The part of a server's files that one client sees: its view, or all of them."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from jumpstarter_driver_tftp.files import Directory, Files, LocalFile, OpenFile
from jumpstarter_driver_tftp.near import nearest
from jumpstarter_driver_tftp.writing import Upload, create


@dataclass(frozen=True, slots=True)
class Part:
    """Some files, and what comes before each path there."""

    _files: Files
    _prefix: tuple[str, ...] = ()

    def at_hand(self, path: tuple[str, ...]) -> LocalFile | None:
        """Open a file to be read, as `Files.at_hand`."""
        return self._files.at_hand((*self._prefix, *path))

    def open(self, path: tuple[str, ...]) -> AbstractAsyncContextManager[OpenFile]:
        """Open a file to be read, as `Files.open`."""
        return self._files.open((*self._prefix, *path))

    def create(
        self, path: tuple[str, ...], *, overwrite: bool, max_bytes: int
    ) -> AbstractAsyncContextManager[Upload]:
        """Open a file to be written, as `writing.create`."""
        whole = (*self._prefix, *path)
        return create(self._files, whole, overwrite=overwrite, max_bytes=max_bytes)

    async def nearest(self, path: tuple[str, ...]) -> tuple[str, ...]:
        """Return names of files that resemble one that is not there."""
        near = await nearest(self._files, (*self._prefix, *path))
        prefix = "".join(f"{folder}/" for folder in self._prefix)
        return tuple(name.removeprefix(prefix) for name in near if name.startswith(prefix))


def part_of(files: Files, folder: tuple[str, ...]) -> Part:
    """Return what lies below a folder; all for an empty one."""
    if folder and isinstance(files, Directory):
        # A directory of its own, so that links cannot leave it.
        return Part(Directory(files.root.joinpath(*folder)))
    return Part(files, folder)
