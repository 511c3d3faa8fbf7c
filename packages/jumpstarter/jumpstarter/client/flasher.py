"""Clients of drivers that write images to a device, and read them back.

An image is a local file, which is streamed to the driver, or a web address, which the exporter
fetches from (or sends to) itself, so that the bytes do not pass through the client.
"""

import warnings
from abc import ABCMeta, abstractmethod
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Literal

import anyio
import click
from anyio import AsyncFile, BrokenResourceError, EndOfStream
from anyio.abc import ObjectStream

from jumpstarter.client.adapters import blocking
from jumpstarter.client.base import DriverClient
from jumpstarter.client.decorators import driver_click_group
from jumpstarter.model.errors import ArgumentError
from jumpstarter.model.requests import PresignedRequestResource
from jumpstarter.streams.encoding import Compression
from jumpstarter.streams.progress import ProgressAttribute

__all__ = ["FlasherClient", "FlasherClientInterface", "PathBuf"]

PathBuf = str | PathLike[str]
"""A local path, or a web address as text."""

_CHUNK = 1 << 20
_COMPRESSIONS = click.Choice([item.value for item in Compression])


class FlasherClientInterface(metaclass=ABCMeta):
    """What every client of a flashing driver offers, and its commands. Mixed with DriverClient."""

    description: str | None
    methods_description: dict[str, str]

    @abstractmethod
    def flash(
        self,
        path: PathBuf | Mapping[str, PathBuf],
        *,
        target: str | None = None,
        compression: Compression | None = None,
    ) -> object:
        """Write the image at `path` to `target`, or each image of a mapping to its target.

        `compression` says that the images are compressed so; the driver writes what they hold.
        Raises ArgumentError for a mapping together with `target`.
        """

    @abstractmethod
    def dump(
        self,
        path: PathBuf,
        *,
        target: str | None = None,
        compression: Compression | None = None,
    ) -> object:
        """Write the content of `target` to `path`, compressed if `compression` says so."""

    def cli(self) -> click.Group:
        """Return the commands `flash` and `dump`."""

        @driver_click_group(self)
        def base() -> None:
            """Write images to the device, and read them back"""

        base.add_command(_flash_command(self))
        base.add_command(_dump_command(self))
        return base


class FlasherClient(FlasherClientInterface, DriverClient):
    """Client of drivers that implement `jumpstarter.driver.FlasherInterface`."""

    def flash(
        self,
        path: PathBuf | Mapping[str, PathBuf],
        *,
        target: str | None = None,
        compression: Compression | None = None,
    ) -> object:
        """Write an image, or several, as the interface says; return what the driver returned.

        For a mapping that is a dictionary by target.
        """
        if isinstance(path, Mapping):
            if target is not None:
                message = "flash: 'target' cannot be given with several images, which name theirs"
                raise ArgumentError(message)
            return {part: self._flash_one(image, part, compression) for part, image in path.items()}
        return self._flash_one(path, target, compression)

    def dump(
        self,
        path: PathBuf,
        *,
        target: str | None = None,
        compression: Compression | None = None,
    ) -> object:
        """Read `target` back, as the interface says; return what the driver returned."""
        with _adapter(self, path, "wb", compression) as handle:
            return self.call("dump", handle, target)

    def _flash_one(
        self, image: PathBuf, target: str | None, compression: Compression | None
    ) -> object:
        with _adapter(self, image, "rb", compression) as handle:
            return self.call("flash", handle, target)


def _flash_command(client: FlasherClientInterface) -> click.Command:
    @click.command()
    @click.argument("file", required=False)
    @click.option(
        "-t", "--target", "targets", multiple=True, metavar="NAME:FILE", help="One image per target"
    )
    @click.option("--compression", type=_COMPRESSIONS, help="How the images are compressed")
    def flash(file: str | None, targets: tuple[str, ...], compression: str | None) -> None:
        """Write FILE, a path or web address, to the device"""
        client.flash(_images(file, targets), compression=_compression(compression))

    return flash


def _dump_command(client: FlasherClientInterface) -> click.Command:
    @click.command()
    @click.argument("file")
    @click.option("--target", help="What to read, where the device has several parts")
    @click.option("--compression", type=_COMPRESSIONS, help="How to compress FILE")
    def dump(file: str, target: str | None, compression: str | None) -> None:
        """Read the device into FILE, a path or web address"""
        client.dump(file, target=target, compression=_compression(compression))

    return dump


def _compression(name: str | None) -> Compression | None:
    return None if name is None else Compression(name)


def _images(file: str | None, targets: Sequence[str]) -> str | dict[str, str]:
    """Return the one image, or the images by target, that a command line names."""
    if (file is None) == (not targets):
        message = "give either FILE, or one or more --target NAME:FILE"
        raise click.UsageError(message)
    if file is not None:
        return file
    images: dict[str, str] = {}
    for text in targets:
        name, _, image = text.partition(":")
        if not name or not image or name in images:
            message = f"--target {text!r}: expected NAME:FILE, with each NAME once"
            raise click.UsageError(message)
        images[name] = image
    return images


def _parse_path(path: PathBuf) -> tuple[Path, None] | tuple[None, str]:
    """Return the absolute local path, or the web address, that `path` is."""
    if isinstance(path, str) and path.lower().startswith(("http://", "https://")):
        return None, path
    return Path(path).absolute(), None


def _adapter(
    client: DriverClient, path: PathBuf, mode: Literal["rb", "wb"], compression: Compression | None
) -> AbstractContextManager[object]:
    parsed = _parse_path(path)
    if parsed[0] is not None:
        return _local_file_adapter(
            client=client, path=parsed[0], mode=mode, compression=compression
        )
    if compression is not None:
        warnings.warn(
            f"compression {compression} is ignored: the exporter transfers {parsed[1]} as it is",
            stacklevel=3,
        )
    return _http_url_adapter(client=client, url=parsed[1], mode=mode)


@blocking
@asynccontextmanager
async def _http_url_adapter(
    *, client: DriverClient, url: str, mode: Literal["rb", "wb"] = "rb"
) -> AsyncGenerator[object]:
    """Yield the handle that makes the exporter read (`rb`) or write (`wb`) `url` itself."""
    del client
    method = "GET" if mode == "rb" else "PUT"
    yield PresignedRequestResource(headers={}, url=url, method=method).model_dump(mode="json")


@blocking
@asynccontextmanager
async def _local_file_adapter(
    *,
    client: DriverClient,
    path: Path,
    mode: Literal["rb", "wb"] = "rb",
    compression: Compression | None = None,
) -> AsyncGenerator[object]:
    """Yield the handle by which the driver reads (`rb`) or writes (`wb`) the local file `path`."""
    if mode == "wb":
        async with (
            _FileWriteObjectStream(path=path) as stream,
            client.resource_async(stream, content_encoding=compression) as handle,
        ):
            yield handle
        return
    size = (await anyio.Path(path).stat()).st_size
    async with (
        await anyio.open_file(path, "rb") as file,
        client.resource_async(
            _AsyncIteratorStream(iterator=_chunks(file), total=size), content_encoding=compression
        ) as handle,
    ):
        yield handle


async def _chunks(file: AsyncFile[bytes]) -> AsyncGenerator[bytes]:
    while chunk := await file.read(_CHUNK):
        yield chunk


@dataclass(kw_only=True, eq=False)
class _AsyncIteratorStream(ObjectStream[bytes]):
    """The receiving half of a stream; `total` is the number of bytes to come, where known."""

    iterator: AsyncGenerator[bytes, None]
    total: int | None = None

    @property
    def extra_attributes(self) -> Mapping[object, Callable[[], object]]:
        if self.total is None:
            return {}
        total = float(self.total)
        return {ProgressAttribute.total: lambda: total}

    async def receive(self) -> bytes:
        try:
            return await anext(self.iterator)
        except StopAsyncIteration:
            raise EndOfStream from None

    async def send(self, item: bytes) -> None:
        del item
        message = "this stream can only be read"
        raise BrokenResourceError(message)

    async def send_eof(self) -> None:
        """Nothing is sent, so there is nothing to end."""

    async def aclose(self) -> None:
        await self.iterator.aclose()


@dataclass(kw_only=True, eq=False)
class _FileWriteObjectStream(ObjectStream[bytes]):
    """The sending half of a stream into a file, which is not touched before the first bytes."""

    path: Path
    _file: AsyncFile[bytes] | None = field(init=False, default=None)

    async def receive(self) -> bytes:
        raise EndOfStream

    async def send(self, item: bytes) -> None:
        if self._file is None:
            self._file = await anyio.open_file(self.path, "wb")
        await self._file.write(item)

    async def send_eof(self) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        if self._file is not None:
            await self._file.aclose()
