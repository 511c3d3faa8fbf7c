"""Where a client's bytes come from or go to: a local file, a web address, or any service.

A web address is passed to the exporter untouched wherever possible, because a service built from
it forgets the query and escapes the path anew.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import ParseResult, unquote, urlparse

from jumpstarter.common.exceptions import ArgumentError
from jumpstarter.streams.encoding import Compression
from opendal import Operator

from .common import Metadata, Mode, PathBuf

_WEB = ("http", "https")


@dataclass(frozen=True)
class LocalEnd:
    """The client's end of a transfer: a file of a service, read from or written to."""

    operator: Operator
    path: PathBuf
    mode: Mode
    compression: Compression | None = None
    url: str | None = None
    """The address that the exporter is to fetch by itself instead."""
    expected: Metadata | None = None
    """What is known of the file that is to come, for a progress bar."""


def is_web_address(path: PathBuf) -> bool:
    """Return whether `path` is text that begins with http:// or https://."""
    return isinstance(path, str) and urlparse(path).scheme.lower() in _WEB


def operator_for_path(path: PathBuf) -> tuple[PathBuf, Operator, str]:
    """Return the path inside a service, the service, and its scheme, `http` or `fs`.

    For a web address that is its path and its server; for anything else the absolute local path.
    """
    if isinstance(path, str) and is_web_address(path):
        url = urlparse(path)
        return Path(url.path), Operator("http", endpoint=f"{url.scheme}://{url.netloc}"), "http"
    return Path(path).absolute(), Operator("fs", root="/"), "fs"


def clean_filename(path: PathBuf) -> str:
    """Return the file name in a path or web address, without a query."""
    return Path(urlparse(os.fspath(path)).path).name


def path_with_query(parsed_url: ParseResult) -> str:
    """Return the path of a web address, and its query where it has one."""
    return f"{parsed_url.path}?{parsed_url.query}" if parsed_url.query else parsed_url.path


def source_of(
    path: PathBuf, operator: Operator | None, compression: Compression | None = None
) -> LocalEnd:
    """Return what to read for `path`, on the service `operator` or where the path itself points.

    Raises ArgumentError for a compressed web address with a query: compressed bytes pass through
    this client, whose http service cannot send a query.
    """
    if operator is not None:
        return LocalEnd(operator, path, "rb", compression)
    inner, service, scheme = operator_for_path(path)
    if scheme != "http":
        return LocalEnd(service, inner, "rb", compression)
    url = os.fspath(path)
    if compression is None:
        return LocalEnd(service, inner, "rb", url=url)
    if urlparse(url).query:
        message = (
            f"{clean_filename(url)}: 'compression' is not possible for an address with a query"
        )
        raise ArgumentError(message)
    return LocalEnd(service, unquote(os.fspath(inner)), "rb", compression)


def target_of(
    path: PathBuf, operator: Operator | None, compression: Compression | None = None
) -> LocalEnd:
    """Return what to write for `path`.

    Raises ArgumentError for a web address, which cannot be written through this client.
    """
    if operator is not None:
        return LocalEnd(operator, path, "wb", compression)
    if is_web_address(path):
        message = f"{path}: cannot be written to; name a local file, or give an 'operator'"
        raise ArgumentError(message)
    inner, service, _ = operator_for_path(path)
    return LocalEnd(service, inner, "wb", compression)
