import json
import stat
from pathlib import Path

import pytest
from pydantic import ValidationError

from jumpstarter.config.client import (
    ClientConfigV1Alpha1,
    ClientConfigV1Alpha1Drivers,
    ClientConfigV1Alpha1Lease,
    ObjectMeta,
)
from jumpstarter.config.user import UserConfigV1Alpha1, UserConfigV1Alpha1Config
from jumpstarter.model import errors
from jumpstarter.model.errors import ConfigurationError

META = "metadata: {namespace: default, name: me}\n"

FULL = """\
apiVersion: jumpstarter.dev/v1alpha1
kind: ClientConfig
metadata:
  namespace: default
  name: me
endpoint: lab.example.com:443
tls:
  ca: Y2E=
  insecure: false
token: tok-1
refresh_token: tok-2
grpcOptions:
  grpc.keepalive_time_ms: 10000
drivers:
  allow:
  - mylab.*
  unsafe: false
shell:
  use_profiles: true
leases:
  acquisition_timeout: 60
  dial_timeout: 10.0
  retry_timeout: 0.0
"""


def load(tmp_path: Path, text: str) -> ClientConfigV1Alpha1:
    path = tmp_path / "me.lab.yaml"
    path.write_text(text)
    return ClientConfigV1Alpha1.from_file(path)


def refusal(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text)
    assert isinstance(caught.value, ValueError)
    return caught.value.message.replace(f"{tmp_path}/me.lab.yaml", "F")


def saved(alias: str, text: str = META) -> ClientConfigV1Alpha1:
    ClientConfigV1Alpha1.ensure_exists()
    path = ClientConfigV1Alpha1.CLIENT_CONFIGS_PATH / f"{alias}.yaml"
    path.write_text(text)
    return ClientConfigV1Alpha1.load(alias)


def test_a_full_file_is_written_as_it_was_read(tmp_path: Path, home: Path) -> None:
    config = load(tmp_path, FULL)
    assert (config.alias, config.path) == ("me", tmp_path / "me.lab.yaml")
    path = ClientConfigV1Alpha1.save(config)
    assert path == config.path == home / "clients" / "me.yaml"
    assert path.read_text() == FULL
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_nulls_and_default_leases_are_not_written(tmp_path: Path) -> None:
    target = tmp_path / "new" / "out.yaml"
    ClientConfigV1Alpha1.save(load(tmp_path, META), target)
    assert target.read_text() == (
        "apiVersion: jumpstarter.dev/v1alpha1\n"
        "kind: ClientConfig\n"
        "metadata:\n  namespace: default\n  name: me\n"
        "tls:\n  ca: ''\n  insecure: false\n"
        "grpcOptions: {}\n"
        "drivers:\n  allow: []\n  unsafe: false\n"
        "shell:\n  use_profiles: false\n"
    )


def test_a_null_namespace_is_written_so_that_the_file_can_be_read(tmp_path: Path) -> None:
    config = load(tmp_path, "metadata: {namespace: null, name: me}\n")
    ClientConfigV1Alpha1.save(config)
    assert ClientConfigV1Alpha1.load("me").metadata == ObjectMeta(namespace=None, name="me")


def test_what_is_printed_has_no_refresh_token(tmp_path: Path) -> None:
    config = load(tmp_path, FULL)
    assert ClientConfigV1Alpha1.dump_yaml(config) == FULL.replace("refresh_token: tok-2\n", "")


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    assert "tok-" not in repr(load(tmp_path, FULL))


@pytest.mark.parametrize(
    ("value", "allow", "unsafe"),
    [
        ("['a.*', b]", ["a.*", "b"], False),
        ("'a.*, b'", ["a.*", "b"], False),
        ("''", [""], False),
        ("[UNSAFE]", ["UNSAFE"], True),
        ("'a,UNSAFE'", ["a", "UNSAFE"], True),
    ],
)
def test_drivers_to_allow(tmp_path: Path, value: str, allow: list[str], *, unsafe: bool) -> None:
    drivers = load(tmp_path, f"{META}drivers: {{allow: {value}}}\n").drivers
    assert (drivers.allow, drivers.unsafe) == (allow, unsafe)


def test_unknown_keys_of_tls_and_shell_are_ignored(tmp_path: Path) -> None:
    assert load(tmp_path, META + "tls: {x: 1}\nshell: {y: 2}\n").tls.insecure is False


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "F:1: the document is empty; it must hold keys with their values"),
        ("kind: UserConfig\n" + META, "F:1: kind must be 'ClientConfig', not 'UserConfig'"),
        (
            "kind: ClientConfig\n",
            "F:1: metadata is missing; add it, with the keys namespace and name",
        ),
        (META + "tokn: x\n", "F:2: tokn is not a known key; did you mean 'token'?"),
        (
            META + "use-profiles: x\n",
            (
                "F:2: use-profiles is not a known key; known keys are apiVersion, kind, metadata, "
                "endpoint, tls, token, refresh_token, grpcOptions, drivers, shell, leases"
            ),
        ),
        (
            "metadata: {namespace: a, name: b, nmae: c}\n",
            "F:1: metadata.nmae is not a known key; did you mean 'name'?",
        ),
        (
            META + "drivers:\n  alow: x\n",
            "F:3: drivers.alow is not a known key; did you mean 'allow'?",
        ),
        (
            META + "leases: {dialTimeout: 7}\n",
            "F:2: leases.dialTimeout is not a known key; did you mean 'dial_timeout'?",
        ),
        (META + "drivers: {allow: [1]}\n", "F:2: drivers.allow.0 must be text, not 1"),
        (
            META + "leases: {dial_timeout: 2}\n",
            "F:2: leases.dial_timeout must be at least 5, not 2",
        ),
        (
            META + "leases: {retry_timeout: .inf}\n",
            "F:2: leases.retry_timeout must be a finite number, not inf",
        ),
        (META + "refresh_token: [x]\n", "F:2: refresh_token must be text, not a list"),
        (META + "1: x\n", 'F:2: 1 is not read as text; put the key in quotes: "1"'),
        (
            "token: 5\nmetadata: {namespace: a, name: 3}\nx: 1\n",
            (
                "F:1: token must be text, not a number (also: metadata.name must be text, not 3; "
                "x is not a known key; known keys are apiVersion, kind, metadata, endpoint, tls, "
                "token, refresh_token, grpcOptions, drivers, shell, leases)"
            ),
        ),
    ],
)
def test_bad_file(tmp_path: Path, text: str, line: str) -> None:
    assert refusal(tmp_path, text) == line


def test_the_environment_fills_what_the_file_leaves_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "JMP_NAMESPACE": "env-space",
        "JMP_NAME": "env-name",
        "JMP_ENDPOINT": "env:1",
        "JMP_TOKEN": "env-token",
        "JMP_REFRESH_TOKEN": "env-refresh",
        "JMP_DRIVERS_ALLOW": "a.*,b",
        "JMP_DRIVERS_UNSAFE": "1",
    }.items():
        monkeypatch.setenv(name, value)
    config = load(tmp_path, "metadata: {name: me}\n")
    assert config.metadata == ObjectMeta(namespace="env-space", name="me")
    assert (config.endpoint, config.token, config.refresh_token) == (
        "env:1",
        "env-token",
        "env-refresh",
    )
    assert config.drivers == ClientConfigV1Alpha1Drivers(allow=["a.*", "b"], unsafe=True)
    assert load(tmp_path, "kind: ClientConfig\n").metadata.name == "env-name"


def test_the_file_is_stronger_than_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("JMP_NAMESPACE", "JMP_NAME", "JMP_ENDPOINT", "JMP_TOKEN", "JMP_REFRESH_TOKEN"):
        monkeypatch.setenv(name, "from-environment")
    monkeypatch.setenv("JMP_DRIVERS_ALLOW", "UNSAFE")
    monkeypatch.setenv("JMP_DRIVERS_UNSAFE", "true")
    assert ClientConfigV1Alpha1.save(load(tmp_path, FULL)).read_text() == FULL
    assert load(tmp_path, META + "token: null\n").token is None


def test_two_time_limits_are_stronger_in_the_environment() -> None:
    leases = ClientConfigV1Alpha1Lease(dial_timeout=10, retry_timeout=20)
    environ = {"JMP_DIAL_TIMEOUT": "30", "JMP_RETRY_TIMEOUT": "0"}
    assert (leases.dial_seconds(None, {}), leases.retry_seconds(None, {})) == (10, 20)
    assert (leases.dial_seconds(None, environ), leases.retry_seconds(None, environ)) == (30, 0)
    assert (leases.dial_seconds(7, environ), leases.retry_seconds(8, environ)) == (7, 8)


def test_a_time_limit_that_is_none_is_told() -> None:
    with pytest.raises(ConfigurationError) as caught:
        ClientConfigV1Alpha1Lease().dial_seconds(None, {"JMP_DIAL_TIMEOUT": "soon"})
    assert caught.value.message == (
        "JMP_DIAL_TIMEOUT must be a number of seconds, at least 5, not 'soon'"
    )


def test_the_time_limits_in_the_environment_are_not_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JMP_RETRY_TIMEOUT", "7")
    config = load(tmp_path, META)
    assert config.leases.retry_seconds() == 7
    assert "leases" not in ClientConfigV1Alpha1.save(config).read_text()


def test_a_wrong_variable_is_named_instead_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JMP_DRIVERS_UNSAFE", "maybe")
    line = "JMP_DRIVERS_UNSAFE must be true or false, not 'maybe'"
    assert refusal(tmp_path, META) == line
    monkeypatch.setenv("JMP_NAMESPACE", "a")
    monkeypatch.setenv("JMP_NAME", "b")
    for build in (ClientConfigV1Alpha1.from_env, ClientConfigV1Alpha1.try_from_env):
        with pytest.raises(ConfigurationError) as caught:
            build()
        assert caught.value.message == line


def test_a_client_from_the_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ClientConfigV1Alpha1.try_from_env() is None
    monkeypatch.setenv("JMP_NAMESPACE", "a")
    assert ClientConfigV1Alpha1.try_from_env() is None
    with pytest.raises(ConfigurationError) as caught:
        ClientConfigV1Alpha1.from_env()
    assert caught.value.message == (
        "the environment describes no client: JMP_NAME not set; "
        "set it, or name a client configuration"
    )
    monkeypatch.setenv("JMP_NAME", "b")
    monkeypatch.setenv("JMP_ENDPOINT", "c:1")
    config = ClientConfigV1Alpha1.from_env()
    assert (config.alias, config.path, config.endpoint) == ("default", None, "c:1")
    assert config.metadata == ObjectMeta(namespace="a", name="b")
    assert ClientConfigV1Alpha1.try_from_env() == config


def test_building_in_python_raises_what_pydantic_raises() -> None:
    with pytest.raises(ValidationError):
        ClientConfigV1Alpha1.model_validate({"metadata": {"namespace": "a", "name": "b"}, "x": 1})


def test_drivers_are_read_from_the_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JMP_DRIVERS_ALLOW", "a, UNSAFE")
    drivers = ClientConfigV1Alpha1Drivers()
    assert (drivers.allow, drivers.unsafe) == (["a", "UNSAFE"], True)


def test_a_missing_alias_is_told(home: Path) -> None:
    line = (
        f"there is no client 'gone': '{home}/clients/gone.yaml' does not exist; "
        "`jmp config client list` shows those there are"
    )
    for refused in (ClientConfigV1Alpha1.load, ClientConfigV1Alpha1.delete):
        with pytest.raises(errors.FileNotFoundError) as caught:
            refused("gone")
        assert caught.value.message == line
    assert not ClientConfigV1Alpha1.exists("gone")


def test_an_alias_names_no_other_directory(tmp_path: Path) -> None:
    config = load(tmp_path, META)
    config.alias = "../x"
    for refused in (
        lambda: ClientConfigV1Alpha1.load("../x"),
        lambda: ClientConfigV1Alpha1.delete("../x"),
        lambda: ClientConfigV1Alpha1.save(config),
    ):
        with pytest.raises(ConfigurationError) as caught:
            refused()
        assert caught.value.message == (
            "'../x' is no client alias; use a name without path separators"
        )


def test_deleting() -> None:
    path = saved("a").path
    assert ClientConfigV1Alpha1.delete("a") == path
    assert not ClientConfigV1Alpha1.exists("a")


def test_the_list_marks_the_current_client_and_tells_no_secret() -> None:
    saved("b", FULL)
    saved("a")
    assert ClientConfigV1Alpha1.list().current_config is None
    UserConfigV1Alpha1.load_or_create().use_client("b")
    listed = ClientConfigV1Alpha1.list()
    assert (listed.current_config, [item.alias for item in listed.items]) == ("b", ["a", "b"])
    told = json.loads(listed.dump_json())
    assert list(told) == ["apiVersion", "currentConfig", "items", "kind"]
    assert told["items"][1]["endpoint"] == "lab.example.com:443"
    for text in (listed.dump_json(), listed.dump_yaml()):
        assert "tok-" not in text


def test_the_users_choice_is_kept(home: Path) -> None:
    saved("a")
    assert not UserConfigV1Alpha1.exists()
    user = UserConfigV1Alpha1.load_or_create()
    assert user.use_client("a") == home / "clients" / "a.yaml"
    assert (home / "config.yaml").read_text() == (
        "apiVersion: jumpstarter.dev/v1alpha1\nkind: UserConfig\nconfig:\n  current-client: a\n"
    )
    assert UserConfigV1Alpha1.load() == user
    assert user.use_client(None) is None
    assert UserConfigV1Alpha1.load().config.current_client is None


def test_an_absent_client_cannot_be_chosen() -> None:
    saved("a")
    user = UserConfigV1Alpha1.load_or_create()
    user.use_client("a")
    with pytest.raises(errors.FileNotFoundError, match=r"^there is no client 'gone': "):
        user.use_client("gone")
    current = UserConfigV1Alpha1.load().config.current_client
    assert current is not None
    assert current.alias == "a"


def test_a_choice_that_was_deleted_is_none(home: Path) -> None:
    home.mkdir()
    (home / "config.yaml").write_text("config: {current-client: gone}\n")
    assert UserConfigV1Alpha1.load().config == UserConfigV1Alpha1Config(current_client=None)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("kind: UserConfig\n", "F:1: config is missing; add it"),
        ("kind: ClientConfig\nconfig: {}\n", "F:1: kind must be 'UserConfig', not 'ClientConfig'"),
        (
            "config:\n  current-client: 5\n",
            "F:2: config.current-client must be the alias of a client, or null, not 5",
        ),
        (
            "config:\n  current-client: ../x\n",
            "F:2: config.current-client must be the alias of a client, or null, not '../x'",
        ),
    ],
)
def test_bad_user_file(home: Path, text: str, line: str) -> None:
    home.mkdir()
    (home / "config.yaml").write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        UserConfigV1Alpha1.load()
    assert caught.value.message.replace(f"{home}/config.yaml", "F") == line


def test_a_broken_current_client_is_told_with_its_own_file(home: Path) -> None:
    saved("a")
    UserConfigV1Alpha1.load_or_create().use_client("a")
    (home / "clients" / "a.yaml").write_text(META + "foo: 1\nendpoint: 5\n")
    with pytest.raises(ConfigurationError) as caught:
        UserConfigV1Alpha1.load()
    assert caught.value.message.startswith(f"{home}/clients/a.yaml:2: foo is not a known key; ")


def test_without_a_user_file_loading_tells_so(home: Path) -> None:
    with pytest.raises(errors.FileNotFoundError) as caught:
        UserConfigV1Alpha1.load()
    assert caught.value.message == (
        f"configuration file '{home}/config.yaml' does not exist; check the path"
    )
