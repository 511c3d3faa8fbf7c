"""Certificates are kept over restarts, renewed in time under one authority, and read again."""

import base64
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import grpc
import pytest
from anyio.streams.tls import TLSAttribute, TLSStream
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from jumpstarter.config.tls import TLSConfigV1Alpha1
from jumpstarter.model.errors import ConfigurationError
from jumpstarter.rpc.channels import aio_secure_channel, ssl_channel_credentials
from jumpstarter.rpc.servers import Bind, serve

from .certificates import (
    FilePair,
    KeptPair,
    Reloading,
    _issue_authority,  # pyright: ignore[reportPrivateUsage] - to make a chain
    _issue_leaf,  # pyright: ignore[reportPrivateUsage] - to make a chain
    kept_hosts,
)
from .keys import make_key, private_pem

NOW = datetime(2026, 3, 1, tzinfo=UTC)
HOSTS = kept_hosts("lab.example.com")


def kept(directory: Path, now: datetime = NOW, host: str = "lab.example.com") -> KeptPair:
    return KeptPair(directory, kept_hosts(host), lambda: now)


def leaf(pair: KeptPair) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pair.current().chain)


def now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def serving(credentials: grpc.ServerCredentials) -> AsyncGenerator[int]:
    async with serve(lambda _: None, [Bind("127.0.0.1:0", credentials)]) as ports:
        yield ports[0]


async def connects(port: int, tls: TLSConfigV1Alpha1, host: str = "127.0.0.1") -> bool:
    address = f"{host}:{port}"
    credentials = await ssl_channel_credentials(address, tls)
    async with aio_secure_channel(address, credentials) as channel:
        try:
            await channel.unary_unary("/none/None")(b"", timeout=5)
        except grpc.aio.AioRpcError as error:
            return error.code() is grpc.StatusCode.UNIMPLEMENTED
    return False


def test_the_pair_survives_a_restart(tmp_path: Path) -> None:
    first = kept(tmp_path)
    pair = first.current()
    second = kept(tmp_path, NOW + timedelta(days=300))

    assert second.current() == pair
    assert second.ca == first.ca


def test_files_with_secrets_are_the_owners_only(tmp_path: Path) -> None:
    kept(tmp_path).current()

    for name in ("ca-key.pem", "tls-key.pem"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


def test_the_certificate_is_for_the_endpoint_and_this_machine(tmp_path: Path) -> None:
    names = leaf(kept(tmp_path)).extensions.get_extension_for_class(x509.SubjectAlternativeName)

    assert [str(name.value) for name in names.value] == list(HOSTS)


def test_it_is_renewed_before_it_runs_out_and_the_authority_stays(tmp_path: Path) -> None:
    old = kept(tmp_path)
    first = leaf(old)
    new = kept(tmp_path, NOW + timedelta(days=340))

    assert leaf(new).not_valid_after_utc > first.not_valid_after_utc
    assert new.ca == old.ca


def test_it_is_made_anew_for_another_endpoint(tmp_path: Path) -> None:
    first = kept(tmp_path).current()

    assert kept(tmp_path, host="10.0.0.9").current() != first


@pytest.mark.parametrize("name", ["tls.pem", "tls-key.pem"])
@pytest.mark.parametrize("text", ["", "garbage", None])
def test_a_damaged_pair_is_made_anew(tmp_path: Path, name: str, text: str | None) -> None:
    kept(tmp_path).current()
    path = tmp_path / name
    path.unlink() if text is None else path.write_text(text)

    assert leaf(kept(tmp_path)).subject.rfc4514_string() == "CN=jumpstarter controller"


@pytest.mark.parametrize("name", ["ca.pem", "ca-key.pem"])
def test_a_damaged_authority_ends_the_start(tmp_path: Path, name: str) -> None:
    kept(tmp_path).current()
    (tmp_path / name).write_text("garbage")

    with pytest.raises(ConfigurationError, match=name):
        kept(tmp_path)


def test_an_authority_of_another_key_ends_the_start(tmp_path: Path) -> None:
    kept(tmp_path).current()
    (tmp_path / "ca-key.pem").unlink()

    with pytest.raises(ConfigurationError, match="does not go with"):
        kept(tmp_path)


async def test_clients_verify_it_by_the_authority(tmp_path: Path) -> None:
    source = KeptPair(tmp_path, kept_hosts("localhost"), now)
    tls = TLSConfigV1Alpha1(ca=base64.b64encode(source.ca.encode()).decode())
    async with serving(Reloading(source).credentials()) as port:
        assert await connects(port, tls)
        assert await connects(port, tls, "localhost")


async def test_clients_that_verify_nothing_connect(tmp_path: Path) -> None:
    source = KeptPair(tmp_path, kept_hosts("localhost"), now)
    async with serving(Reloading(source).credentials()) as port:
        assert await connects(port, TLSConfigV1Alpha1(insecure=True))


async def test_a_handshake_without_alpn_is_finished(tmp_path: Path) -> None:
    source = KeptPair(tmp_path, kept_hosts("localhost"), now)
    context = ssl.create_default_context(cadata=source.ca)
    async with (
        serving(Reloading(source).credentials()) as port,
        await anyio.connect_tcp("127.0.0.1", port) as stream,
        await TLSStream.wrap(
            stream, hostname="localhost", ssl_context=context, standard_compatible=False
        ) as tls,
    ):
        assert tls.extra(TLSAttribute.alpn_protocol) is None


async def test_files_are_read_again_when_they_change(tmp_path: Path) -> None:
    old = KeptPair(tmp_path / "old", kept_hosts("localhost"), now)
    new = KeptPair(tmp_path / "new", kept_hosts("localhost"), now)
    files = FilePair(tmp_path / "c.pem", tmp_path / "k.pem")

    def put(pair: KeptPair) -> TLSConfigV1Alpha1:
        files.certificate.write_bytes(pair.current().chain)
        files.key.write_bytes(pair.current().key)
        return TLSConfigV1Alpha1(ca=base64.b64encode(pair.ca.encode()).decode())

    first = put(old)
    async with serving(Reloading(files).credentials()) as port:
        assert await connects(port, first)
        files.certificate.write_text("half-written")
        assert await connects(port, first)
        second = put(new)
        assert await connects(port, second)
        assert not await connects(port, first)


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    kept(tmp_path / "a").current()
    kept(tmp_path / "b").current()

    with pytest.raises(ConfigurationError, match="is not the key of"):
        FilePair(tmp_path / "a" / "tls.pem", tmp_path / "b" / "tls-key.pem").current()


def test_files_that_nobody_would_accept_are_refused(tmp_path: Path) -> None:
    pair, other = kept(tmp_path), kept(tmp_path / "other")
    pair.current()
    (tmp_path / "empty.pem").write_text("")

    def files(at: datetime, authority: Path | None = None) -> FilePair:
        return FilePair(tmp_path / "tls.pem", tmp_path / "tls-key.pem", authority, lambda: at)

    assert files(NOW, tmp_path / "ca.pem").current() == pair.current()
    for wrong, words in (
        (files(NOW + timedelta(days=366)), "was good until 2027-03-01 00:00 UTC; renew it"),
        (files(NOW - timedelta(days=1)), "is good from 2026-02-28 23:00 UTC only"),
        (files(NOW, tmp_path / "other" / "ca.pem"), "was not signed by an authority of"),
        (files(NOW, tmp_path / "empty.pem"), "holds no certificate in PEM"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            wrong.current()
    assert other.ca


def test_an_authority_in_between_is_followed(tmp_path: Path) -> None:
    keys = [make_key() for _ in range(3)]
    root = _issue_authority(keys[0], NOW)
    middle = _issue_leaf(keys[1], root, keys[0], ("middle",), NOW)
    end = _issue_leaf(keys[2], middle, keys[1], HOSTS, NOW)
    (tmp_path / "root.pem").write_bytes(root.public_bytes(Encoding.PEM))
    (tmp_path / "key.pem").write_text(private_pem(keys[2].private))
    chain = tmp_path / "chain.pem"
    files = FilePair(chain, tmp_path / "key.pem", tmp_path / "root.pem", lambda: NOW)

    chain.write_bytes(end.public_bytes(Encoding.PEM) + middle.public_bytes(Encoding.PEM))
    assert files.current().chain == chain.read_bytes()
    chain.write_bytes(end.public_bytes(Encoding.PEM))
    with pytest.raises(ConfigurationError, match="was not signed by an authority of"):
        files.current()


async def test_a_certificate_that_ran_out_stays_until_there_is_a_new_one(tmp_path: Path) -> None:
    times = [now()]
    pair = KeptPair(tmp_path, kept_hosts("localhost"), now)
    pair.current()
    files = FilePair(
        tmp_path / "tls.pem", tmp_path / "tls-key.pem", tmp_path / "ca.pem", lambda: times[-1]
    )
    tls = TLSConfigV1Alpha1(ca=base64.b64encode(pair.ca.encode()).decode())
    async with serving(Reloading(files).credentials()) as port:
        assert await connects(port, tls)
        times.append(now() + timedelta(days=400))
        assert await connects(port, tls)
