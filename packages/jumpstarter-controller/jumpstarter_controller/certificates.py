"""The server's certificate: from files that are read again when they change, or made here and kept.

A kept certificate is signed by an authority of the data directory, which stays the same when the
certificate is renewed, so that the `tls.ca` in people's files goes on being right.
"""

import ipaddress
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol, cast

import grpc
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from jumpstarter.config.files import write_text
from jumpstarter.model.errors import ConfigurationError

from .keys import SigningKey, kept_key, make_key, private_bytes, private_pem

logger = logging.getLogger(__name__)

AUTHORITY_LIFETIME: Final = timedelta(days=3650)
LIFETIME: Final = timedelta(days=365)
RENEW_BEFORE: Final = timedelta(days=30)
BACKDATE: Final = timedelta(hours=1)
"""How long before it was made a certificate is valid, for clocks that are behind."""

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate, with those that it follows from, and its private key; PEM."""

    chain: bytes
    key: bytes

    def __repr__(self) -> str:
        """Show no secret."""
        return "Pair(...)"


class CertificateSource(Protocol):
    """Where the server's certificate comes from."""

    @property
    def ca(self) -> str:
        """What its peers have to trust, PEM; empty when the system's roots do."""
        ...

    def current(self) -> Pair:
        """Return the pair to use now. Raises ConfigurationError when there is none."""
        ...


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class FilePair:
    """A certificate and a key that somebody else keeps in files."""

    certificate: Path
    key: Path
    authority: Path | None = None
    clock: Clock = _utc_now

    @property
    def ca(self) -> str:
        """What its peers have to trust, PEM; empty when the system's roots do."""
        return "" if self.authority is None else _read(self.authority).decode("ascii")

    def current(self) -> Pair:
        """Return the pair in the files.

        Raises ConfigurationError when they do not go together, or nobody would accept them now.
        """
        pair = self.matching()
        chain = x509.load_pem_x509_certificates(pair.chain)
        now = self.clock()
        if now >= chain[0].not_valid_after_utc:
            ended = f"{chain[0].not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
            raise ConfigurationError(f"'{self.certificate}' was good until {ended}; renew it")
        if now < chain[0].not_valid_before_utc:
            begins = f"{chain[0].not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
            raise ConfigurationError(
                f"'{self.certificate}' is good from {begins} only; is the clock right?"
            )
        if self.authority is not None and not _follows(chain, _authorities(self.authority)):
            raise ConfigurationError(
                f"'{self.certificate}' was not signed by an authority of '{self.authority}'"
            )
        return pair

    def matching(self) -> Pair:
        """Return the pair in the files, whether it is good now or not."""
        chain, key = _read(self.certificate), _read(self.key)
        try:
            leaf = x509.load_pem_x509_certificate(chain)
        except ValueError:
            raise ConfigurationError(f"'{self.certificate}' holds no certificate in PEM") from None
        try:
            private = load_pem_private_key(key, password=None)
        except (ValueError, TypeError):
            raise ConfigurationError(f"'{self.key}' holds no private key in PEM") from None
        if leaf.public_key() != cast("Any", private).public_key():
            raise ConfigurationError(f"'{self.key}' is not the key of '{self.certificate}'")
        return Pair(chain, key)


def _authorities(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_read(path))
    except ValueError:
        raise ConfigurationError(f"'{path}' holds no certificate in PEM") from None


def _follows(chain: list[x509.Certificate], authorities: list[x509.Certificate]) -> bool:
    """Return whether the first of `chain` follows, by the others, from one of `authorities`."""
    certificate = chain[0]
    for _ in range(len(chain)):
        if certificate in authorities or any(_issued(certificate, one) for one in authorities):
            return True
        above = next((one for one in chain[1:] if _issued(certificate, one)), None)
        if above is None:
            return False
        certificate = above
    return False


def _issued(certificate: x509.Certificate, by: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(by)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


class KeptPair:
    """A certificate made here, in the files of `directory`, and renewed in time."""

    def __init__(self, directory: Path, hosts: tuple[str, ...], clock: Clock) -> None:
        """Read the authority, or make it. Raises ConfigurationError when its files are wrong."""
        self._directory = directory
        self._hosts = hosts
        self._clock = clock
        self._key = kept_key(directory / "ca-key.pem")
        self._authority = self._kept_authority()

    @property
    def ca(self) -> str:
        """What its peers have to trust, PEM."""
        return _pem(self._authority)

    def current(self) -> Pair:
        """Return the pair, made anew when it runs out soon or is for other hosts."""
        certificate, key = self._directory / "tls.pem", self._directory / "tls-key.pem"
        if not (certificate.exists() and key.exists() and self._is_good(certificate, key)):
            new = self.issue()
            write_text(key, new.key.decode("ascii"))
            write_text(certificate, new.chain.decode("ascii"))
        return Pair(_read(certificate), private_bytes(key))

    def issue(self) -> Pair:
        """Return a new pair for the hosts, which is not kept."""
        new = make_key()
        leaf = _issue_leaf(new, self._authority, self._key, self._hosts, self._clock())
        return Pair(
            (_pem(leaf) + self.ca).encode("ascii"), private_pem(new.private).encode("ascii")
        )

    def _is_good(self, certificate: Path, key: Path) -> bool:
        try:
            pair = FilePair(certificate, key).matching()
            leaf = x509.load_pem_x509_certificate(pair.chain)
            leaf.verify_directly_issued_by(self._authority)
        except (ConfigurationError, ValueError, TypeError, x509.InvalidVersion):
            return False
        except Exception as error:  # noqa: BLE001 - InvalidSignature and its like have no common base
            logger.warning("the kept certificate is made anew: %s", type(error).__name__)
            return False
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        now = self._clock()
        return (
            list(names) == _names(self._hosts)
            and leaf.not_valid_before_utc <= now
            and now + RENEW_BEFORE < leaf.not_valid_after_utc
        )

    def _kept_authority(self) -> x509.Certificate:
        path = self._directory / "ca.pem"
        if not path.exists():
            write_text(path, _pem(_issue_authority(self._key, self._clock())))
        try:
            authority = x509.load_pem_x509_certificate(_read(path))
        except ValueError:
            raise ConfigurationError(f"'{path}' holds no certificate; restore it") from None
        if authority.public_key() != self._key.public:
            raise ConfigurationError(f"'{path}' does not go with 'ca-key.pem' beside it")
        return authority


class Reloading:
    """Credentials of a server that asks `source` for its pair again at every connection.

    What it says is used from then on; a pair that is wrong is told once, and the last good one is
    kept. Asked for in gRPC's own threads.
    """

    def __init__(self, source: CertificateSource) -> None:
        """Take the first pair. Raises ConfigurationError when there is none."""
        self._source = source
        self._lock = threading.Lock()
        self._pair = source.current()
        self._told = ""

    def credentials(self) -> grpc.ServerCredentials:
        """Return the credentials for a port."""
        first = _configuration(self._pair)
        return grpc.dynamic_ssl_server_credentials(first, cast("Any", self._changed))

    def _changed(self) -> grpc.ServerCertificateConfiguration | None:
        """Return the new pair, or None when it is the last one; gRPC then keeps that."""
        with self._lock:
            try:
                pair = self._source.current()
            except ConfigurationError as error:
                if str(error) != self._told:
                    self._told = str(error)
                    logger.error("the certificate in use stays: %s", error)  # noqa: TRY400 - no defect of ours
                return None
            self._told = ""
            if pair == self._pair:
                return None
            self._pair = pair
            logger.info("the certificate changed")
            return _configuration(pair)


def _configuration(pair: Pair) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(pair.key, pair.chain)])


def kept_hosts(*endpoint_hosts: str) -> tuple[str, ...]:
    """Return the hosts that a kept certificate is for: those of endpoints, and this machine."""
    return tuple(dict.fromkeys([*endpoint_hosts, "localhost", "127.0.0.1", "::1"]))


def _issue_authority(key: SigningKey, now: datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "jumpstarter controller authority")])
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        _builder(name, name, key.public, now, AUTHORITY_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public), critical=False)
        .sign(key.private, hashes.SHA256())
    )


def _issue_leaf(
    key: SigningKey,
    authority: x509.Certificate,
    signer: SigningKey,
    hosts: tuple[str, ...],
    now: datetime,
) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "jumpstarter controller")])
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public)
    purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    return (
        _builder(name, authority.subject, key.public, now, LIFETIME)
        .add_extension(x509.SubjectAlternativeName(_names(hosts)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(purposes, critical=False)
        .add_extension(identifier, critical=False)
        .sign(signer.private, hashes.SHA256())
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    now: datetime,
    lifetime: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before((now - BACKDATE).astimezone(UTC))
        .not_valid_after((now + lifetime).astimezone(UTC))
    )


def _names(hosts: tuple[str, ...]) -> list[x509.GeneralName]:
    return [_name(host) for host in hosts]


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode("ascii")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"cannot read '{path}': {error.strerror}") from None
