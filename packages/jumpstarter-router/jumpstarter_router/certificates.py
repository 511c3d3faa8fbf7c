"""The server's certificate, from files that are read again for every connection.

What they hold is used from the next connection on. While they do not go together, as in the moment
between the replacement of one and of the other, the last pair that did stays in use.
"""

import logging
import ssl
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import grpc
from jumpstarter.model.errors import ConfigurationError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate, with those that it follows from, and its private key; PEM."""

    chain: bytes
    key: bytes = field(repr=False)


def read_pair(certificate: Path, key: Path) -> Pair:
    """Return what the files hold. Raises ConfigurationError when they do not go together."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # No password is asked for: with one, the key is of no use here.
        context.load_cert_chain(certificate, key, password="")
        return Pair(certificate.read_bytes(), key.read_bytes())
    except ssl.SSLError:
        raise ConfigurationError(
            f"'{certificate}' and '{key}' are not a certificate and its private key, in PEM and "
            "without a password"
        ) from None
    except OSError as error:
        name = error.filename or f"{certificate}' or '{key}"
        raise ConfigurationError(f"cannot read '{name}': {error.strerror}") from None


class ReloadingCertificate:
    """The pair in two files; asked for by gRPC, in its own threads, at every connection."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Read the pair for the first time. Raises ConfigurationError when there is none."""
        self._paths = certificate, key
        self._pair = read_pair(certificate, key)
        self._told = ""
        self._lock = threading.Lock()

    def credentials(self) -> grpc.ServerCredentials:
        """Return the credentials for a port."""
        first = _configuration(self._pair)
        return grpc.dynamic_ssl_server_credentials(first, cast("Any", self._changed))

    def _changed(self) -> grpc.ServerCertificateConfiguration | None:
        """Return the pair if it is a new one; for None gRPC keeps what it has."""
        with self._lock:
            try:
                pair = read_pair(*self._paths)
            except ConfigurationError as error:
                if str(error) != self._told:
                    self._told = str(error)
                    logger.warning("the certificate in use stays: %s", error)
                return None
            self._told = ""
            if pair == self._pair:
                return None
            self._pair = pair
            logger.info("the certificate changed")
            return _configuration(pair)


def _configuration(pair: Pair) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(pair.key, pair.chain)])
