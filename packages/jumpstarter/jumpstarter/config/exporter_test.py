import logging
import stat
from pathlib import Path

import pytest

from jumpstarter.config.exporter import (
    ExporterConfigV1Alpha1,
    ExporterConfigV1Alpha1DriverInstance,
    ExporterConfigV1Alpha1DriverInstanceBase,
    ExporterConfigV1Alpha1DriverInstanceComposite,
    ExporterConfigV1Alpha1DriverInstanceProxy,
    HookConfigV1Alpha1,
    HookInstanceConfigV1Alpha1,
    ObjectMeta,
)
from jumpstarter.model import errors
from jumpstarter.model.errors import ConfigurationError

META = "metadata: {namespace: default, name: bench}\n"

FULL = """\
apiVersion: jumpstarter.dev/v1alpha1
kind: ExporterConfig
metadata:
  namespace: default
  name: bench
endpoint: lab.example.com:443
tls:
  ca: Y2E=
  insecure: false
token: secret
grpcOptions:
  grpc.keepalive_time_ms: 10000
description: A bench
motd: Hello
export:
  power:
    type: a.Power
    description: Main switch
    methods_description:
      'on': Close the relay
    config:
      pin: 4
    children: {}
  group:
    children:
      same:
        ref: power
hooks:
  beforeLease:
    exec: /bin/bash
    script: |
      set -e
      echo hello
    timeout: 10
    onFailure: endLease
  afterLease: null
failureDetection:
  maxRapidFailures: 2
  rapidFailureWindow: 30
exitOnLeaseEnd: true
"""


def load(tmp_path: Path, text: str) -> ExporterConfigV1Alpha1:
    path = tmp_path / "exporter.yaml"
    path.write_text(text)
    return ExporterConfigV1Alpha1.load_path(path)


def test_a_full_file_is_written_as_it_was_read(tmp_path: Path) -> None:
    assert ExporterConfigV1Alpha1.dump_yaml(load(tmp_path, FULL)) == FULL


def test_a_minimal_file_is_written_with_its_defaults(tmp_path: Path) -> None:
    assert ExporterConfigV1Alpha1.dump_yaml(load(tmp_path, META)) == (
        "apiVersion: jumpstarter.dev/v1alpha1\n"
        "kind: ExporterConfig\n"
        "metadata:\n  namespace: default\n  name: bench\n"
        "endpoint: null\n"
        "tls:\n  ca: ''\n  insecure: false\n"
        "token: null\n"
        "grpcOptions: {}\n"
        "description: null\n"
        "motd: null\n"
        "export: {}\n"
        "hooks:\n  beforeLease: null\n  afterLease: null\n"
        "failureDetection:\n  maxRapidFailures: 5\n  rapidFailureWindow: 60\n"
        "exitOnLeaseEnd: false\n"
    )


def test_the_forms_of_entries(tmp_path: Path) -> None:
    text = (
        "export:\n"
        "  driver: {type: TcpNetwork, config: {port: 1}, children: {c: {type: x.Y}}}\n"
        "  both: {type: x.Y, ref: driver}\n"
        "  group: {children: {p: {ref: driver.c}}}\n"
        "  named: {description: Shown, children: {}}\n"
        "  empty: {}\n"
    )
    export = load(tmp_path, META + text).export
    driver, both, group, named, empty = (export[name].root for name in export)
    assert isinstance(driver, ExporterConfigV1Alpha1DriverInstanceBase)
    assert (driver.type, driver.config) == ("TcpNetwork", {"port": 1})
    assert isinstance(driver.children["c"].root, ExporterConfigV1Alpha1DriverInstanceBase)
    assert both == ExporterConfigV1Alpha1DriverInstanceBase(type="x.Y")
    assert isinstance(group, ExporterConfigV1Alpha1DriverInstanceComposite)
    assert group.children["p"].root == ExporterConfigV1Alpha1DriverInstanceProxy(ref="driver.c")
    assert named == ExporterConfigV1Alpha1DriverInstanceComposite(description="Shown")
    assert empty == ExporterConfigV1Alpha1DriverInstanceComposite()


def test_entries_are_built_from_python_too() -> None:
    entry = ExporterConfigV1Alpha1DriverInstance(
        root=ExporterConfigV1Alpha1DriverInstanceProxy(ref="a")
    )
    config = ExporterConfigV1Alpha1(
        metadata=ObjectMeta(namespace=None, name="n"),
        export={"b": entry},
        hooks=HookConfigV1Alpha1(before_lease=HookInstanceConfigV1Alpha1(script="x", exec_="sh")),
    )
    assert config.export["b"].root == ExporterConfigV1Alpha1DriverInstanceProxy(ref="a")
    assert config.hooks.before_lease is not None
    assert config.hooks.before_lease.on_failure == "warn"


def test_hooks_may_be_spelled_as_in_python(tmp_path: Path) -> None:
    hooks = "hooks: {after_lease: {script: x, on_failure: exit, exec_: /bin/sh, timeout: '5'}}\n"
    assert load(tmp_path, META + hooks).hooks == HookConfigV1Alpha1(
        after_lease=HookInstanceConfigV1Alpha1(
            script="x", on_failure="exit", exec_="/bin/sh", timeout=5
        )
    )


def test_the_environment_fills_what_metadata_leaves_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JMP_NAMESPACE", "env-space")
    monkeypatch.setenv("JMP_NAME", "env-name")
    assert load(tmp_path, "metadata: {name: bench}\n").metadata == ObjectMeta(
        namespace="env-space", name="bench"
    )
    assert load(tmp_path, "metadata: {namespace: null}\n").metadata == ObjectMeta(
        namespace=None, name="env-name"
    )


def test_options_may_be_null(tmp_path: Path) -> None:
    assert load(tmp_path, META + "grpcOptions:\n").grpcOptions == {}


def test_a_file_cannot_set_its_own_alias(tmp_path: Path) -> None:
    config = load(tmp_path, META + "alias: other\npath: /elsewhere\n")
    assert (config.alias, config.path) == ("default", tmp_path / "exporter.yaml")


def test_the_token_is_not_shown(tmp_path: Path) -> None:
    assert "secret" not in repr(load(tmp_path, FULL))


def test_keys_without_effect_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = META + "exprot: {}\ntls: {inscure: true}\nendpoint: a:1\nendpoint: b:2\n"
    with caplog.at_level(logging.WARNING):
        assert load(tmp_path, text).endpoint == "b:2"
    path = tmp_path / "exporter.yaml"
    assert caplog.messages == [
        f"{path}:2: exprot is not a known key and has no effect; did you mean 'export'?",
        f"{path}:3: tls.inscure is not a known key and has no effect; did you mean 'insecure'?",
        (
            f"{path}:5: endpoint stands here for the second time, first on line 4; "
            "remove one of the two"
        ),
    ]


def test_the_users_file_hides_the_systems(tmp_path: Path, home: Path) -> None:
    for directory, name in ((home / "exporters", "own"), (tmp_path / "etc", "system")):
        directory.mkdir(parents=True)
        for alias in ("both", name):
            (directory / f"{alias}.yaml").write_text(META + f"description: {name}\n")
    (home / "exporters" / "c.yml").touch()
    assert ExporterConfigV1Alpha1.load("both").description == "own"
    assert ExporterConfigV1Alpha1.load("system").alias == "system"
    assert ExporterConfigV1Alpha1.resolve_path("system") == tmp_path / "etc" / "system.yaml"
    assert ExporterConfigV1Alpha1.resolve_path("new") == home / "exporters" / "new.yaml"
    assert ExporterConfigV1Alpha1.exists("system")
    assert not ExporterConfigV1Alpha1.user_config_exists("system")
    listed = ExporterConfigV1Alpha1.list().items
    assert [(item.alias, item.description) for item in listed] == [
        ("both", "own"),
        ("own", "own"),
        ("system", "system"),
    ]


def test_without_directories_the_list_is_empty() -> None:
    assert ExporterConfigV1Alpha1.list().items == []


def test_the_list_is_told_without_tokens(tmp_path: Path) -> None:
    ExporterConfigV1Alpha1.save(load(tmp_path, FULL))
    listed = ExporterConfigV1Alpha1.list()
    assert listed.dump_yaml().startswith("apiVersion: jumpstarter.dev/v1alpha1\nitems:\n")
    for text in (listed.dump_yaml(), listed.dump_json()):
        assert "bench" in text
        assert "secret" not in text


def test_a_saved_configuration_is_private_and_read_again(tmp_path: Path, home: Path) -> None:
    config = load(tmp_path, FULL)
    config.alias = "mine"
    path = ExporterConfigV1Alpha1.save(config)
    assert path == config.path == home / "exporters" / "mine.yaml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert ExporterConfigV1Alpha1.load("mine") == config


def test_saving_elsewhere_creates_the_directory(tmp_path: Path) -> None:
    target = tmp_path / "new" / "deep" / "x.yaml"
    assert ExporterConfigV1Alpha1.save(load(tmp_path, META), str(target)) == target
    assert target.exists()


def test_a_value_that_no_file_can_hold_is_told(tmp_path: Path) -> None:
    config = load(tmp_path, META)
    config.export["d"] = ExporterConfigV1Alpha1DriverInstance.model_validate(
        {"type": "a.B", "config": {"x": object()}}
    )
    with pytest.raises(ConfigurationError) as caught:
        ExporterConfigV1Alpha1.save(config)
    assert caught.value.message == (
        "exporter 'default': a value of type object cannot be written as YAML"
    )


def test_deleting(tmp_path: Path, home: Path) -> None:
    path = ExporterConfigV1Alpha1.save(load(tmp_path, META))
    assert ExporterConfigV1Alpha1.delete("default") == path
    assert not path.exists()
    with pytest.raises(errors.FileNotFoundError) as caught:
        ExporterConfigV1Alpha1.delete("default")
    assert caught.value.message == (
        f"there is no exporter 'default': '{home}/exporters/default.yaml' does not exist; "
        "`jmp config exporter list` shows those there are"
    )


def test_the_systems_file_is_not_deleted(tmp_path: Path) -> None:
    path = tmp_path / "etc" / "x.yaml"
    path.parent.mkdir()
    path.write_text(META)
    with pytest.raises(ConfigurationError) as caught:
        ExporterConfigV1Alpha1.delete("x")
    assert caught.value.message == (
        f"exporter 'x' stands in '{path}', which belongs to the system; remove it there"
    )
    assert path.exists()


@pytest.mark.parametrize("alias", ["../x", "", ".."])
def test_an_alias_names_no_other_directory(tmp_path: Path, alias: str) -> None:
    config = load(tmp_path, META)
    config.alias = alias
    for refused in (
        lambda: ExporterConfigV1Alpha1.load(alias),
        lambda: ExporterConfigV1Alpha1.delete(alias),
        lambda: ExporterConfigV1Alpha1.save(config),
    ):
        with pytest.raises(ConfigurationError) as caught:
            refused()
        assert caught.value.message == (
            f"{alias!r} is no exporter alias; use a name without path separators"
        )


def test_a_missing_alias_or_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(errors.FileNotFoundError, match=r"^there is no exporter 'gone': "):
        ExporterConfigV1Alpha1.load("gone")
    with pytest.raises(
        errors.FileNotFoundError, match=r"gone\.yaml' does not exist; check the path$"
    ):
        ExporterConfigV1Alpha1.load_path(tmp_path / "gone.yaml")


def test_a_single_entry_is_read_from_text_and_file(tmp_path: Path) -> None:
    path = tmp_path / "entry.yaml"
    path.write_text("type: a.B\nconfig: {x: 1}\n")
    expected = ExporterConfigV1Alpha1DriverInstanceBase(type="a.B", config={"x": 1})
    assert ExporterConfigV1Alpha1DriverInstance.from_path(str(path)).root == expected
    assert ExporterConfigV1Alpha1DriverInstance.from_str(path.read_text()).root == expected
