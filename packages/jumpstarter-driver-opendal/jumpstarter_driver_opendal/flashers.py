"""Clients that flash from, and dump to, files of any storage service."""

import os
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Protocol

from jumpstarter.client import DriverClient
from jumpstarter.client.flasher import FlasherClientInterface as CoreFlasherClientInterface
from jumpstarter.common.exceptions import ArgumentError
from jumpstarter.common.resources import PresignedRequestResource
from jumpstarter.streams.encoding import Compression
from opendal import Operator

from .adapter import lend
from .common import PathBuf
from .service import Service
from .sources import is_web_address, source_of, target_of


class HashedStorage(Protocol):
    """What is needed of a storage to know whether it holds a file already."""

    def exists(self, path: str) -> bool:
        """Return whether there is such a file."""
        ...

    def hash(self, path: str) -> str:
        """Return the file's SHA-256 in hexadecimal."""
        ...


class FlasherClientInterface(CoreFlasherClientInterface):
    """What every flasher client of this package offers. Mixed with DriverClient."""

    @abstractmethod
    def flash(
        self,
        path: PathBuf | Mapping[str, PathBuf],
        *,
        target: str | None = None,
        operator: Operator | Mapping[str, Operator] | None = None,
        compression: Compression | None = None,
    ) -> object:
        """Write the image at `path` to `target`, or each image of a mapping to its target.

        An image is a local file or web address, or a file of `operator`. `compression` says that
        the images are compressed so; the driver writes what they hold. Raises ArgumentError for
        arguments that do not go together.
        """

    @abstractmethod
    def dump(
        self,
        path: PathBuf,
        *,
        target: str | None = None,
        operator: Operator | None = None,
        compression: Compression | None = None,
    ) -> object:
        """Write the content of `target` to `path`, compressed if `compression` says so."""


class FlasherClient(FlasherClientInterface, DriverClient):
    """Client of drivers that implement `FlasherInterface`."""

    def flash(
        self,
        path: PathBuf | Mapping[str, PathBuf],
        *,
        target: str | None = None,
        operator: Operator | Mapping[str, Operator] | None = None,
        compression: Compression | None = None,
    ) -> Any:  # noqa: ANN401 - what the driver returns
        """Write an image, or several, as the interface says; return what the driver returned.

        For a mapping that is a dictionary by target.
        """
        if not isinstance(path, Mapping):
            if isinstance(operator, Mapping):
                message = "flash: 'operator' is a mapping but there is one image; give one operator"
                raise ArgumentError(message)
            return self._flash_single(
                path, target=target, operator=operator, compression=compression
            )
        if target is not None:
            message = "flash: 'target' cannot be given with several images, which name theirs"
            raise ArgumentError(message)
        return {
            part: self._flash_single(
                image,
                target=part,
                operator=operator.get(part) if isinstance(operator, Mapping) else operator,
                compression=compression,
            )
            for part, image in path.items()
        }

    def dump(
        self,
        path: PathBuf,
        *,
        target: str | None = None,
        operator: Operator | None = None,
        compression: Compression | None = None,
    ) -> Any:  # noqa: ANN401 - what the driver returns
        """Read `target` back, as the interface says; return what the driver returned.

        The exporter sends to a web address by itself, with PUT, and then without compression.
        """
        if operator is None and is_web_address(path):
            return self.call("dump", _upload_handle(os.fspath(path), compression), target)
        with lend(self, target_of(path, operator, compression)) as handle:
            return self.call("dump", handle, target)

    def _flash_single(
        self,
        image: PathBuf,
        *,
        target: str | None,
        operator: Operator | None,
        compression: Compression | None,
    ) -> Any:  # noqa: ANN401 - what the driver returns
        with lend(self, source_of(image, operator, compression)) as handle:
            return self.call("flash", handle, target)

    def _should_upload_file(
        self,
        storage: HashedStorage,
        filename: str,
        src_path: PathBuf,
        src_operator: Operator,
        operator_scheme: str = "fs",
    ) -> bool:
        """Return whether `storage` lacks `filename` with the content of the file `src_path`.

        Only local files are compared; others are taken to differ.
        """
        if not storage.exists(filename) or operator_scheme != "fs":
            return True
        service = Service(src_operator.to_async_operator())
        local = self.portal.call(service.digest, os.fspath(src_path), "sha256")
        return storage.hash(filename) != local


def _upload_handle(url: str, compression: Compression | None) -> dict[str, object]:
    if compression is not None:
        message = f"dump: 'compression' is not possible to the web address {url}; omit it"
        raise ArgumentError(message)
    return PresignedRequestResource(headers={}, url=url, method="PUT").model_dump(mode="json")
