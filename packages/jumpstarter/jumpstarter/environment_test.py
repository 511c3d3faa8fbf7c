"""The exporter of a shell: every variable, and what is trusted."""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import anyio
import pytest
from anyio.from_thread import BlockingPortal

from jumpstarter.client.base import StubDriverClient
from jumpstarter.config.client import ClientConfigV1Alpha1, UserConfigV1Alpha1
from jumpstarter.driver import Driver, export
from jumpstarter.environment import (
    ExporterMetadata,
    Trust,
    env,
    env_async,
    env_with_metadata,
    env_with_metadata_async,
    metadata_from_environment,
    trust_from_environment,
)
from jumpstarter.exporter import Session
from jumpstarter.exporter.auth import PassphraseInterceptor
from jumpstarter.model.errors import (
    ConfigurationError,
    EnvironmentVariableNotSetError,
    ExporterUnreachableError,
)
from jumpstarter.model.errors import ConnectionError as OurConnectionError
from jumpstarter.model.status import ExporterStatus
from jumpstarter.rpc.portal import open_portal

USER = """\
apiVersion: jumpstarter.dev/v1alpha1
kind: UserConfig
config: {current-client: mine}
"""
CLIENT = """\
apiVersion: jumpstarter.dev/v1alpha1
kind: ClientConfig
metadata: {namespace: lab, name: me}
endpoint: lab.example.com:443
token: secret
drivers: {allow: [%s], unsafe: %s}
"""


class Answers(Driver):
    """Answers."""

    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"

    @export
    def answer(self) -> int:
        return 42


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Variables and configuration files of nobody."""
    for name in [name for name in os.environ if name.startswith(("JMP_", "JUMPSTARTER_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(UserConfigV1Alpha1, "USER_CONFIG_PATH", tmp_path / "config.yaml")
    monkeypatch.setattr(ClientConfigV1Alpha1, "CLIENT_CONFIGS_PATH", tmp_path)
    return tmp_path


@pytest.fixture
def session() -> Session:
    session = Session(root_device=Answers())
    session.update_status(ExporterStatus.LEASE_READY)
    return session


@pytest.fixture
def host(session: Session, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with session.serve_unix() as path:
        monkeypatch.setenv("JUMPSTARTER_HOST", str(path))
        yield path


@pytest.mark.parametrize(
    ("environ", "trust"),
    [
        ({}, None),
        ({"JMP_DRIVERS_ALLOW": ""}, None),
        ({"JMP_DRIVERS_UNSAFE": ""}, None),
        ({"JMP_DRIVERS_ALLOW": "a.*"}, Trust(("a.*",), unsafe=False)),
        ({"JMP_DRIVERS_ALLOW": "a.*, b.C ,"}, Trust(("a.*", "b.C"), unsafe=False)),
        ({"JMP_DRIVERS_ALLOW": "UNSAFE"}, Trust(("UNSAFE",), unsafe=True)),
        ({"JMP_DRIVERS_ALLOW": "a.*,UNSAFE"}, Trust(("a.*", "UNSAFE"), unsafe=True)),
        ({"JMP_DRIVERS_ALLOW": "unsafe"}, Trust(("unsafe",), unsafe=False)),
        ({"JMP_DRIVERS_UNSAFE": "1"}, Trust((), unsafe=True)),
        ({"JMP_DRIVERS_UNSAFE": "true"}, Trust((), unsafe=True)),
        ({"JMP_DRIVERS_UNSAFE": "0"}, Trust((), unsafe=False)),
        (
            {"JMP_DRIVERS_ALLOW": "a.*", "JMP_DRIVERS_UNSAFE": "false"},
            Trust(("a.*",), unsafe=False),
        ),
        ({"JMP_DRIVERS_ALLOW": "a.*", "JMP_DRIVERS_UNSAFE": "yes"}, Trust(("a.*",), unsafe=True)),
    ],
)
def test_trust(environ: Mapping[str, str], trust: Trust | None):
    assert trust_from_environment(environ) == trust


def test_trust_that_is_neither_true_nor_false():
    with pytest.raises(ConfigurationError, match="JMP_DRIVERS_UNSAFE must be true or false, not "):
        trust_from_environment({"JMP_DRIVERS_UNSAFE": "perhaps"})


@pytest.mark.parametrize(
    ("environ", "metadata"),
    [
        ({}, ExporterMetadata(name="", labels={}, lease=None)),
        (
            {"JMP_EXPORTER": "desk", "JMP_LEASE": "l1", "JMP_EXPORTER_LABELS": "a=b,c=d=e,f="},
            ExporterMetadata(name="desk", labels={"a": "b", "c": "d=e", "f": ""}, lease="l1"),
        ),
        ({"JMP_EXPORTER_LABELS": "", "JMP_LEASE": ""}, ExporterMetadata(name="")),
        ({"JMP_EXPORTER_LABELS": "a, b=c,,"}, ExporterMetadata(name="", labels={"b": "c"})),
    ],
)
def test_metadata(environ: Mapping[str, str], metadata: ExporterMetadata):
    assert metadata_from_environment(environ) == metadata


@pytest.mark.parametrize("value", [None, ""])
def test_outside_a_shell(value: str | None, monkeypatch: pytest.MonkeyPatch):
    if value is not None:
        monkeypatch.setenv("JUMPSTARTER_HOST", value)
    with pytest.raises(EnvironmentVariableNotSetError, match=r"^JUMPSTARTER_HOST not set$"):
        env().__enter__()


@pytest.mark.usefixtures("host")
def test_client_of_the_shell(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("JMP_DRIVERS_ALLOW", "UNSAFE")
    with env() as client:
        assert client.call("answer") == 42


@pytest.mark.usefixtures("host")
def test_client_and_metadata_of_the_shell(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("JMP_DRIVERS_ALLOW", "jumpstarter.*")
    monkeypatch.setenv("JMP_EXPORTER", "desk")
    with env_with_metadata() as (client, metadata):
        assert (client.call("answer"), metadata) == (42, ExporterMetadata(name="desk"))


@pytest.mark.usefixtures("host")
def test_asynchronous_client_of_the_shell(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("JMP_DRIVERS_UNSAFE", "1")
    with open_portal() as portal, ExitStack() as stack:
        with portal.wrap_async_context_manager(env_async(portal, stack)) as client:
            assert client.call("answer") == 42
        with_metadata = env_with_metadata_async(portal, stack)
        with portal.wrap_async_context_manager(with_metadata) as (client, metadata):
            assert (client.call("answer"), metadata.lease) == (42, None)


async def test_asynchronous_client_on_this_loop(session: Session, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("JMP_DRIVERS_UNSAFE", "1")
    async with session.serve_unix_async() as path, BlockingPortal() as portal:
        monkeypatch.setenv("JUMPSTARTER_HOST", str(path))
        with ExitStack() as stack:
            async with env_async(portal, stack) as client:
                assert await client.call_async("answer") == 42
                assert await anyio.to_thread.run_sync(client.call, "answer") == 42


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize(
    ("allow", "unsafe", "trusted"),
    [("jumpstarter.client.*", "false", True), ("", "true", True), ("other.*", "false", False)],
)
def test_current_client_decides_where_no_variable_does(
    home: Path, allow: str, unsafe: str, trusted: bool
):
    (home / "config.yaml").write_text(USER)
    (home / "mine.yaml").write_text(CLIENT % (allow, unsafe))
    assert_trusted(trusted)


@pytest.mark.usefixtures("host")
def test_variable_wins_over_the_current_client(home: Path, monkeypatch: pytest.MonkeyPatch):
    (home / "config.yaml").write_text(USER)
    (home / "mine.yaml").write_text(CLIENT % ("*", "true"))
    monkeypatch.setenv("JMP_DRIVERS_ALLOW", "other.*")
    assert_trusted(trusted=False)


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize("user", [None, USER.replace("current-client: mine", "")])
def test_nothing_is_trusted_without_configuration(home: Path, user: str | None):
    if user is not None:
        (home / "config.yaml").write_text(user)
    assert_trusted(trusted=False)


def assert_trusted(trusted: bool) -> None:
    with env() as client:
        assert isinstance(client, StubDriverClient) is not trusted
        if not trusted:
            with pytest.raises(ImportError, match="or to JMP_DRIVERS_ALLOW"):
                client.call("answer")


@pytest.mark.parametrize("name", ["JMP_GRPC_INSECURE", "JUMPSTARTER_GRPC_INSECURE"])
def test_direct_session_in_the_clear(session: Session, name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("JMP_DRIVERS_ALLOW", "UNSAFE")
    monkeypatch.setenv(name, "1")
    interceptors = [PassphraseInterceptor("open sesame")]
    with open_portal() as portal:
        serving = session.serve_tcp_async("127.0.0.1", 0, interceptors=interceptors)
        with portal.wrap_async_context_manager(serving) as port:
            monkeypatch.setenv("JUMPSTARTER_HOST", f"127.0.0.1:{port}")
            with pytest.raises(OurConnectionError, match="Authentication failed: invalid or mis"):
                env().__enter__()
            monkeypatch.setenv("JMP_GRPC_PASSPHRASE", "open sesame")
            with env() as client:
                assert client.call("answer") == 42


def test_host_that_is_gone(session: Session, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("JMP_DRIVERS_ALLOW", "UNSAFE")
    with session.serve_unix() as path:
        pass
    monkeypatch.setenv("JUMPSTARTER_HOST", str(path))
    with pytest.raises(
        ExporterUnreachableError, match=f"^{path}: no exporter answers there; is it"
    ):
        env().__enter__()
