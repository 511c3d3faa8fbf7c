"""Where an exporter listens, and how what passes there is protected."""

from pathlib import Path
from typing import NamedTuple

from jumpstarter_cli.addresses import Address


class Certificate(NamedTuple):
    """PEM files: a chain that begins with the certificate of the server, and its private key."""

    chain: Path
    key: Path


class Listener(NamedTuple):
    """A TCP address; without a certificate, everything passes in the clear."""

    address: Address
    certificate: Certificate | None
    passphrase: str | None

    def describe(self, port: int) -> str:
        """Return the line that says where it listens, bound to `port`, and how protected."""
        tls = "no TLS" if self.certificate is None else "TLS"
        secret = "no passphrase" if self.passphrase is None else "passphrase"
        return f"Listening on {self.address._replace(port=port)} ({tls}, {secret})"

    def danger(self) -> str | None:
        """Return what others on the network can do that they should not, or None."""
        if self.address.is_local:
            return None
        if self.passphrase is None:
            return "everyone who reaches this address can use the drivers: set a passphrase"
        if self.certificate is None:
            return "the passphrase crosses the network in the clear: use TLS"
        return None
