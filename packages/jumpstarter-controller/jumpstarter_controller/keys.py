"""Signing keys: made on the first start, kept in the data directory, readable by their owner only.

A key that cannot be used ends the start; it is never silently replaced, because with a new key
every token that was handed out would be refused.
"""

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from jumpstarter.config.files import write_text
from jumpstarter.model.errors import ConfigurationError

COORDINATE_BYTES: Final = 32

PublicKey = ec.EllipticCurvePublicKey


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A P-256 key pair, for signatures by ES256."""

    private: ec.EllipticCurvePrivateKey

    @property
    def public(self) -> PublicKey:
        """What verifies its signatures."""
        return self.private.public_key()


def make_key() -> SigningKey:
    """Return a new key."""
    return SigningKey(ec.generate_private_key(ec.SECP256R1()))


def kept_key(path: Path) -> SigningKey:
    """Return the key in the file at `path`, which is made when it does not exist.

    Raises ConfigurationError for a file that others may read, that holds no such key, or that
    cannot be read or written.
    """
    if not path.exists():
        write_text(path, private_pem(make_key().private))
    pem = private_bytes(path)
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _no_key(path) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not _is_p256(key.public_key()):
        raise _no_key(path)
    return SigningKey(key)


def trusted_key(path: Path) -> PublicKey:
    """Return the public key in the file at `path`, for tokens that another installation signed.

    Raises ConfigurationError for a file that cannot be read, or holds no P-256 key in PEM form.
    """
    try:
        key = load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"cannot read '{path}': {error.strerror}") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigurationError(f"'{path}' holds no public key in PEM form") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not _is_p256(key):
        raise ConfigurationError(f"the key in '{path}' is not of the curve P-256, as ES256 needs")
    return key


def private_bytes(path: Path) -> bytes:
    """Return the contents of a file that holds a secret.

    Raises ConfigurationError when it cannot be read, or when others than its owner may.
    """
    try:
        if path.stat().st_mode & 0o077:
            raise ConfigurationError(
                f"others may read '{path}', which holds a secret; run `chmod 600 '{path}'`"
            )
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"cannot read '{path}': {error.strerror}") from None


def private_pem(key: ec.EllipticCurvePrivateKey) -> str:
    """Return `key` as PEM, not encrypted."""
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem.decode("ascii")


def key_set(keys: Iterable[PublicKey]) -> str:
    """Return `keys` as a JSON Web Key Set (RFC 7517); the first one is named `default`."""
    entries = [
        {
            "kty": "EC",
            "crv": "P-256",
            "alg": "ES256",
            "use": "sig",
            "kid": f"key-{number}" if number else "default",
            "x": _coordinate(key.public_numbers().x),
            "y": _coordinate(key.public_numbers().y),
        }
        for number, key in enumerate(keys)
    ]
    return json.dumps({"keys": entries})


def _coordinate(value: int) -> str:
    data = value.to_bytes(COORDINATE_BYTES, "big")
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _is_p256(key: PublicKey) -> bool:
    return isinstance(key.curve, ec.SECP256R1)


def _no_key(path: Path) -> ConfigurationError:
    return ConfigurationError(
        f"'{path}' holds no P-256 key in PEM form; restore it from a backup (without it, remove it "
        "and make all tokens anew)"
    )
