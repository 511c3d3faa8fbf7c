"""Choosing and fetching fls, from a real HTTP server."""

import http.server
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from jumpstarter.driver import fls
from jumpstarter.driver.fls import download_fls, get_fls_binary, get_fls_github_url

RELEASES = "https://github.com/jumpstarter-dev/fls/releases/download"
PROGRAM = b"#!/bin/sh\necho hello\n"


class _Files(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        match self.path:
            case "/fls":
                self._send(PROGRAM, len(PROGRAM))
            case "/cut-short":
                self._send(PROGRAM, len(PROGRAM) + 1000)
            case _:
                self.send_error(404)

    def _send(self, body: bytes, length: int) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Keep the test's output clean."""


@pytest.fixture
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Files) as files:
        thread = threading.Thread(target=files.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{files.server_port}"
        files.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "jumpstarter" / "fls"


@pytest.mark.parametrize(
    ("arch", "asset"),
    [
        ("x86_64", "fls-x86_64-linux"),
        ("AMD64", "fls-x86_64-linux"),
        ("aarch64", "fls-aarch64-linux-musl"),
        ("arm64", "fls-aarch64-linux-musl"),
        ("riscv64", "fls-aarch64-linux-musl"),
    ],
)
def test_release_asset(arch: str, asset: str):
    assert get_fls_github_url("v1.2", arch) == f"{RELEASES}/v1.2/{asset}"


def test_release_asset_for_this_machine():
    machine = os.uname().machine
    assert get_fls_github_url("v1.2") == get_fls_github_url("v1.2", machine)


def test_default_is_the_installed_program():
    assert get_fls_binary() == "fls"


def test_version_is_downloaded_from_its_release(monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []

    def record(url: str) -> str:
        asked.append(url)
        return "/here"

    # The releases are on the internet; all that matters is which of them is asked for.
    monkeypatch.setattr(fls, "download_fls", record)
    assert get_fls_binary("v1.2") == "/here"
    assert asked == [get_fls_github_url("v1.2")]


def test_url_needs_permission(server: str, cache: Path):
    with pytest.raises(RuntimeError, match="allow_custom_binaries"):
        get_fls_binary(fls_binary_url=f"{server}/fls")
    assert not cache.exists()


def test_url_wins_over_version_and_is_announced(server: str, caplog: pytest.LogCaptureFixture):
    binary = get_fls_binary("v1.2", f"{server}/fls", allow_custom_binaries=True)
    assert Path(binary).read_bytes() == PROGRAM
    assert f"{server}/fls" in caplog.text


def test_download_can_be_run(server: str):
    program = download_fls(f"{server}/fls")
    finished = subprocess.run([program], capture_output=True, check=True)
    assert finished.stdout == b"hello\n"


def test_second_download_takes_the_place_of_the_first(server: str, cache: Path):
    first = download_fls(f"{server}/fls")
    Path(first).write_bytes(b"old")
    assert download_fls(f"{server}/fls") == first
    assert Path(first).read_bytes() == PROGRAM
    assert [str(path) for path in cache.iterdir()] == [first]


@pytest.mark.parametrize(
    ("path", "problem"),
    [("absent", "404"), ("cut-short", f"{len(PROGRAM)} of {len(PROGRAM) + 1000} bytes")],
)
def test_failed_download_leaves_nothing(server: str, path: str, problem: str, cache: Path):
    with pytest.raises(RuntimeError, match=problem) as caught:
        download_fls(f"{server}/{path}")
    assert f"{server}/{path}" in str(caught.value)
    assert list(cache.iterdir()) == []


def test_refused_connection_is_named(server: str):
    port = int(server.rpartition(":")[2])
    with pytest.raises(RuntimeError, match=f"cannot download fls from http://127.0.0.2:{port}"):
        download_fls(f"http://127.0.0.2:{port}/fls")


@pytest.mark.parametrize("url", ["file:///bin/sh", "ftp://h/x", "/bin/sh", ""])
def test_only_http_is_read(url: str):
    with pytest.raises(RuntimeError, match="http"):
        download_fls(url)
