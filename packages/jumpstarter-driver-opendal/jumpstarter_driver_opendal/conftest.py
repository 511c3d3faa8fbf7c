"""What the tests of this package share: a served storage, and a web server."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from jumpstarter.common.utils import serve

from jumpstarter_driver_opendal.client import OpendalClient
from jumpstarter_driver_opendal.driver import Opendal


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def no_progress_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the output of commands free of what only a terminal gets."""
    monkeypatch.setenv("TERM", "dumb")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return the root directory of `storage`."""
    return tmp_path / "root"


@contextmanager
def serve_storage(driver: Opendal) -> Generator[OpendalClient]:
    """Serve `driver` and yield its client, as the class that it is."""
    with serve(driver) as client:
        assert isinstance(client, OpendalClient)
        yield client


@pytest.fixture
def storage(root: Path) -> Generator[OpendalClient]:
    """Serve files below `root`."""
    with serve_storage(Opendal(scheme="fs", kwargs={"root": str(root)})) as client:
        yield client


@dataclass
class WebServer:
    """A real HTTP server on loopback, with what it was asked and sent."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    """Contents by path, query included."""
    requests: list[str] = field(default_factory=list[str])
    """Method and path of each request."""


class WebHandler(BaseHTTPRequestHandler):
    """Answers with the files of `state`, and keeps what is put."""

    state: WebServer

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_PUT(self) -> None:
        self.state.requests.append(f"PUT {self.path}")
        self.state.files[self.path] = self.body()
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def answer(self, *, with_body: bool) -> None:
        self.state.requests.append(f"{self.command} {self.path}")
        content = self.state.files.get(self.path)
        self.send_response(404 if content is None else 200)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        if with_body and content:
            self.wfile.write(content)

    def body(self) -> bytes:
        if "Content-Length" in self.headers:
            return self.rfile.read(int(self.headers["Content-Length"]))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        del format, args


@pytest.fixture
def web() -> Generator[WebServer]:
    """Serve whatever a test puts into `files`."""
    state = WebServer()
    handler = type("Handler", (WebHandler,), {"state": state})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        state.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield state
        server.shutdown()
        thread.join()
