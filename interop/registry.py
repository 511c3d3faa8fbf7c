"""An image registry on loopback that holds one artifact and trusts everybody, over TLS."""

import hashlib
import json
import ssl
import subprocess
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
EMPTY = b"{}"


def digest(data: bytes) -> str:
    """Return the name of a blob."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def describe(data: bytes, media_type: str, title: str | None = None) -> dict[str, object]:
    """Return how a manifest refers to a blob, which is the file `title` if it has one."""
    described: dict[str, object] = {"mediaType": media_type, "digest": digest(data)}
    described["size"] = len(data)
    if title is not None:
        described["annotations"] = {"org.opencontainers.image.title": title}
    return described


def artifact_manifest(files: Mapping[str, bytes]) -> bytes:
    """Return the manifest of an artifact that holds `files` under their paths."""
    layers = [describe(data, "application/octet-stream", name) for name, data in files.items()]
    config = describe(EMPTY, "application/vnd.oci.empty.v1+json")
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}
    return json.dumps(manifest).encode()


class RegistryHandler(BaseHTTPRequestHandler):
    """Answers requests for manifests and blobs."""

    manifest: bytes
    blobs: Mapping[str, bytes]

    def do_GET(self) -> None:
        """Send the manifest, whatever its tag, or a blob."""
        *_, kind, name = self.path.split("/")
        is_manifest = kind == "manifests"
        body = self.manifest if is_manifest else self.blobs.get(name, b"")
        self.send_response(200 if body else 404)
        self.send_header("Content-Type", MANIFEST if is_manifest else "application/octet-stream")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as in the base class
        """Keep quiet."""


def make_certificate(openssl: str, folder: Path) -> tuple[Path, Path]:
    """Return the files of a certificate for loopback, and of its key."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = [openssl, "req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", key, "-out", certificate]
    subprocess.run([*command, *files], check=True, capture_output=True)
    return certificate, key


@contextmanager
def registry(files: Mapping[str, bytes], certificate: Path, key: Path) -> Generator[str]:
    """Serve an artifact that holds `files`, and yield the host and port."""
    blobs = {digest(data): data for data in (EMPTY, *files.values())}
    members = {"manifest": artifact_manifest(files), "blobs": blobs}
    handler = type("ArtifactHandler", (RegistryHandler,), members)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
