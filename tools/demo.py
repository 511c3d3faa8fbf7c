"""The demo: an exporter made from `examples/desk/exporter.yaml`, used on the desk and in a lab.

Rule: everything is what a user has: `jmp shell` runs the exporter in one process and
`examples/desk/tour.py` against it in another; then `jmp lab up` makes a lab, in which the same
exporter is leased. Only the port of the TCP service differs from the file, because the demo lets
the system choose one that is free.

Usage: python tools/demo.py [FILE]
"""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml
from demo_lab import FailedError, lab_tour

ROOT = Path(__file__).resolve().parent.parent
EXPORTER = ROOT / "examples" / "desk" / "exporter.yaml"
TOUR = ROOT / "examples" / "desk" / "tour.py"
MEBIBYTE = 1 << 20
DEFAULT_SIZE = 32 * MEBIBYTE


class Page(BaseHTTPRequestHandler):
    """The TCP service of the device: a web page that answers every GET with the file."""

    file: Path

    def do_GET(self) -> None:
        """Send the file."""
        self.send_response(200)
        self.send_header("Content-Length", str(self.file.stat().st_size))
        self.end_headers()
        with self.file.open("rb") as source:
            shutil.copyfileobj(source, self.wfile, MEBIBYTE)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as in the base class
        """Keep quiet."""


@contextmanager
def service(file: Path) -> Generator[int]:
    """Serve `file` over HTTP on loopback, and yield the port."""
    handler = type("FilePage", (Page,), {"file": file})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def chosen_file(folder: Path) -> Path:
    """Return the file that the user named, or a new random one in `folder`.

    Raises:
        SystemExit: the file cannot be read.
    """
    if len(sys.argv) > 1:
        file = Path(sys.argv[1]).resolve()
        if not os.access(file, os.R_OK) or not file.is_file():
            sys.exit(f"FILE={sys.argv[1]} is not a file that can be read")
        return file
    file = folder / "random.img"
    file.write_bytes(os.urandom(DEFAULT_SIZE))
    return file


def main() -> None:
    """Use the exporter on the desk, then in a lab; fail where one of the two did."""
    jmp = Path(sys.executable).parent / "jmp"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = chosen_file(folder)
        with service(file) as port:
            config = yaml.safe_load(EXPORTER.read_text(encoding="utf-8"))
            config["export"]["network"]["children"]["service"]["config"]["port"] = port
            exporter = folder / "exporter.yaml"
            exporter.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
            print(f"exporter   {EXPORTER.relative_to(ROOT)}, in its own process", flush=True)
            command = [jmp, "shell", "--exporter-config", exporter, "--"]
            done = subprocess.run([*command, sys.executable, TOUR, file], cwd=folder, check=False)
            if done.returncode:
                sys.exit(done.returncode)
            print("\nThe same exporter in a lab of its own", flush=True)
            try:
                lab_tour(folder, exporter, file)
            except FailedError as error:
                sys.exit(str(error))
    print("all of it worked")


if __name__ == "__main__":
    main()
