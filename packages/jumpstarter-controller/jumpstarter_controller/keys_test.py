"""Keys are made once, kept privately, and never replaced in silence."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from jumpstarter.model.errors import ConfigurationError

from .keys import kept_key, make_key, private_pem, trusted_key


def test_a_key_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"

    assert private_pem(kept_key(path).private) == private_pem(kept_key(path).private)


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    kept_key(tmp_path / "key.pem")

    assert (tmp_path / "key.pem").stat().st_mode & 0o777 == 0o600


def test_a_key_that_others_may_read_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    kept_key(path)
    path.chmod(0o640)

    with pytest.raises(ConfigurationError, match="chmod 600"):
        kept_key(path)


def write_private(path: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path.chmod(0o600)


@pytest.mark.parametrize("text", ["", "garbage", "-----BEGIN PRIVATE KEY-----\n"])
def test_a_damaged_key_ends_the_start(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key.pem"
    path.write_text(text)
    path.chmod(0o600)

    with pytest.raises(ConfigurationError, match=r"key\.pem"):
        kept_key(path)


def test_a_key_of_another_kind_ends_the_start(tmp_path: Path) -> None:
    for name, key in (
        ("rsa", rsa.generate_private_key(65537, 2048)),
        ("p384", ec.generate_private_key(ec.SECP384R1())),
    ):
        write_private(tmp_path / name, key)

        with pytest.raises(ConfigurationError, match="P-256"):
            kept_key(tmp_path / name)


def test_a_key_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    (tmp_path / "key.pem").mkdir(mode=0o700)
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigurationError, match="cannot read"):
        kept_key(tmp_path / "key.pem")
    with pytest.raises(ConfigurationError, match="cannot write"):
        kept_key(tmp_path / "file" / "key.pem")


def test_a_trusted_key_is_public_and_of_the_right_curve(tmp_path: Path) -> None:
    key = make_key()
    path = tmp_path / "public.pem"
    path.write_bytes(key.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    wrong = tmp_path / "wrong.pem"
    wrong.write_text(private_pem(key.private))

    assert trusted_key(path) == key.public
    with pytest.raises(ConfigurationError, match="no public key"):
        trusted_key(wrong)
    with pytest.raises(ConfigurationError, match="cannot read"):
        trusted_key(tmp_path / "none.pem")
