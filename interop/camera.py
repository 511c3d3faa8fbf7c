"""Answers as ustreamer does, on a Unix socket, with one picture.

Writes its arguments, without those for the socket, to the file READY once it listens.

Usage: python camera.py READY [--NAME VALUE ...] --unix PATH
"""

import io
import json
import sys
from http.server import BaseHTTPRequestHandler
from importlib import import_module
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any

# The type checker does not have this library in its environment.
image: Any = import_module("PIL.Image")

STATE = {
    "ok": True,
    "result": {
        "encoder": {"type": "CPU", "quality": 80},
        "source": {
            "online": True,
            "desired_fps": 30,
            "captured_fps": 30,
            "resolution": {"width": 4, "height": 3},
        },
    },
}


def picture() -> bytes:
    """Return a small JPEG."""
    file = io.BytesIO()
    image.new("RGB", (4, 3), "red").save(file, "JPEG")
    return file.getvalue()


class Camera(BaseHTTPRequestHandler):
    """Serves the state and the picture."""

    def do_GET(self) -> None:
        """Send what was asked for."""
        found = self.path == "/state"
        body = json.dumps(STATE).encode() if found else picture()
        self.send_response(200)
        self.send_header("Content-Type", "application/json" if found else "image/jpeg")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as in the base class
        """Keep quiet."""


class Server(ThreadingMixIn, UnixStreamServer):
    """One thread per connection, none of which outlives the process."""

    daemon_threads = True


def main() -> None:
    """Serve until the process is ended."""
    ready, *arguments = sys.argv[1:]
    path = arguments.pop(arguments.index("--unix") + 1)
    arguments.remove("--unix")
    with Server(path, Camera) as server:
        Path(ready).write_text(" ".join(arguments), encoding="utf-8")
        server.serve_forever()


if __name__ == "__main__":
    main()
