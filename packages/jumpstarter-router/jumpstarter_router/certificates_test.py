"""Certificates from files: what a caller is shown, also after they have changed."""

import logging
import ssl
from pathlib import Path

import anyio
import pytest
from anyio.streams.tls import TLSAttribute, TLSStream
from jumpstarter.model.errors import ConfigurationError
from jumpstarter.rpc.servers import Bind

from jumpstarter_router.certificates import ReloadingCertificate, read_pair
from jumpstarter_router.claims import Claims
from jumpstarter_router.conftest import Certificate, self_signed
from jumpstarter_router.router import Router, running_router


def write(folder: Path, certificate: Certificate) -> tuple[Path, Path]:
    paths = folder / "tls.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.chain)
    paths[1].write_bytes(certificate.key)
    return paths


async def shown(port: int) -> str:
    """Return the certificate that a router shows, as PEM."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    stream = await anyio.connect_tcp("127.0.0.1", port)
    async with await TLSStream.wrap(
        stream, hostname="localhost", ssl_context=context, standard_compatible=False
    ) as tls:
        der = tls.extra(TLSAttribute.peer_certificate_binary)
        assert der is not None
        assert tls.extra(TLSAttribute.alpn_protocol) == "h2"
        return ssl.DER_cert_to_PEM_cert(der)


def same(pem: str, certificate: Certificate) -> bool:
    return pem.split() == certificate.chain.decode().split()


async def test_the_files_are_read_again_for_each_connection(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    old, new = self_signed(), self_signed()
    paths = write(tmp_path, old)
    router = Router(lambda token, now: Claims(stream=token, expires=now + 60))
    bind = Bind("127.0.0.1:0", ReloadingCertificate(*paths).credentials())
    async with running_router(router, [bind]):
        (port,) = router.ports
        assert same(await shown(port), old)
        paths[0].write_bytes(new.chain)
        # Half replaced, and shown to two callers.
        assert same(await shown(port), old)
        assert same(await shown(port), old)
        paths[1].write_bytes(new.key)
        assert same(await shown(port), new)
    assert caplog.text.count("the certificate in use stays") == 1
    assert caplog.text.count("the certificate changed") == 1


def test_a_pair_shows_no_key(tmp_path: Path):
    certificate = self_signed()
    pair = read_pair(*write(tmp_path, certificate))
    assert pair.key == certificate.key
    assert "PRIVATE" not in repr(pair)


def test_files_that_do_not_go_together_are_refused(tmp_path: Path):
    certificate, key = write(tmp_path, self_signed())
    key.write_bytes(self_signed().key)
    with pytest.raises(ConfigurationError, match=f"'{certificate}' and '{key}' are not"):
        ReloadingCertificate(certificate, key)


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\xff\xfe"])
def test_files_that_hold_something_else_are_refused(tmp_path: Path, content: bytes):
    certificate, key = write(tmp_path, self_signed())
    certificate.write_bytes(content)
    with pytest.raises(ConfigurationError, match="are not a certificate and its private key"):
        read_pair(certificate, key)


def test_a_file_that_is_missing_is_named(tmp_path: Path):
    certificate, key = write(tmp_path, self_signed())
    key.unlink()
    with pytest.raises(ConfigurationError, match=r"key\.pem': No such file"):
        read_pair(certificate, key)
