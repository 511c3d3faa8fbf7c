"""The program `fls`, which writes images to storage: which one to run, and how to get it.

A program from anywhere but the project's releases runs only where the driver's configuration allows
it: whoever can name a URL could otherwise run code on the exporter.
"""

import hashlib
import http.client
import logging
import os
import platform
import shutil
import tempfile
import urllib.request
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit

from xdg_base_dirs import xdg_cache_home

__all__ = ["get_fls_binary", "get_fls_github_url", "download_fls"]

logger = logging.getLogger(__name__)

_RELEASES = "https://github.com/jumpstarter-dev/fls/releases/download"
_ASSETS = {"x86_64": "fls-x86_64-linux", "amd64": "fls-x86_64-linux"}
_ARM_ASSET = "fls-aarch64-linux-musl"


def get_fls_binary(
    fls_version: str | None = None,
    fls_binary_url: str | None = None,
    allow_custom_binaries: bool = False,  # noqa: FBT001, FBT002 - drivers pass it by position
) -> str:
    """Return the program to run: downloaded from the URL, else of that release, else plain `fls`.

    Raises RuntimeError for a URL without `allow_custom_binaries`, and when a download fails.
    """
    if fls_binary_url:
        if not allow_custom_binaries:
            message = (
                f"fls from {fls_binary_url} refused: set allow_custom_binaries to true in the "
                "driver's configuration to allow programs from there"
            )
            raise RuntimeError(message)
        logger.warning("running a program from %s", fls_binary_url)
        return download_fls(fls_binary_url)
    if fls_version:
        return download_fls(get_fls_github_url(fls_version))
    return "fls"


def get_fls_github_url(version: str, arch: str | None = None) -> str:
    """Return the address of release `version` for `arch`, by default this machine's.

    Architectures that are not known get the one for aarch64.
    """
    machine = (arch or platform.machine()).lower()
    return f"{_RELEASES}/{version}/{_ASSETS.get(machine, _ARM_ASSET)}"


def download_fls(url: str, timeout: float = 30.0) -> str:
    """Download the program at `url` and return the path of the executable file.

    It is kept in the user's cache under a name made from `url`, and replaced as a whole, so that a
    copy in use is not disturbed. `timeout` is in seconds without any data. Raises RuntimeError when
    the download fails, or `url` is not http or https.
    """
    if urlsplit(url).scheme not in {"http", "https"}:
        message = f"cannot download fls from {url}: only http and https addresses are read"
        raise RuntimeError(message)
    directory = xdg_cache_home() / "jumpstarter" / "fls"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = directory / f"fls-{hashlib.sha256(url.encode()).hexdigest()[:16]}"
    try:
        _fetch(url, target, timeout)
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, HTTPError):
            # The error is also the response, with its connection.
            error.close()
        message = f"cannot download fls from {url}: {error}"
        raise RuntimeError(message) from error
    return str(target)


def _fetch(url: str, target: Path, timeout: float) -> None:
    """Put what `url` holds in place of `target`, or leave `target` as it was."""
    descriptor, name = tempfile.mkstemp(dir=target.parent)
    try:
        with (
            os.fdopen(descriptor, "wb") as file,
            urllib.request.urlopen(url, timeout=timeout) as response,
        ):
            shutil.copyfileobj(response, file)
            _check_length(file.tell(), response.headers.get("Content-Length"))
        os.chmod(name, 0o755)  # noqa: S103 - a program that other users of the exporter may run
        os.replace(name, target)
    finally:
        Path(name).unlink(missing_ok=True)


def _check_length(received: int, announced: str | None) -> None:
    """Raise OSError for a body that ended early, which reading in parts does not report."""
    if announced is not None and received != int(announced):
        message = f"{received} of {announced} bytes received"
        raise OSError(message)
