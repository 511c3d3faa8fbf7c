"""What is wrong in an exporter's file is told in one line. F stands for the file."""

from pathlib import Path

import pytest

from jumpstarter.config.exporter import (
    ExporterConfigV1Alpha1,
    ExporterConfigV1Alpha1DriverInstance,
)
from jumpstarter.model.errors import ConfigurationError

META = "metadata: {namespace: default, name: bench}\n"


def refusal(tmp_path: Path, text: str) -> str:
    path = tmp_path / "exporter.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        ExporterConfigV1Alpha1.load_path(path)
    assert str(caught.value) == caught.value.message
    return caught.value.message.replace(str(path), "F")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "F:1: the document is empty; it must hold keys with their values"),
        ("- a\n", "F:1: the document must hold keys with their values, `key: value`"),
        ("a: [\n", "F:2: not valid YAML: expected the node content, but found '<stream end>'"),
        ("kind: ClientConfig\n" + META, "F:1: kind must be 'ExporterConfig', not 'ClientConfig'"),
        (
            META + "apiVersion: v2\n",
            "F:2: apiVersion must be 'jumpstarter.dev/v1alpha1', not 'v2'",
        ),
        (
            "kind: ExporterConfig\n",
            "F:1: metadata is missing; add it, with the keys namespace and name",
        ),
        (
            "\nmetadata:\n  name: b\n",
            "F:2: metadata.namespace is missing; add it, or set JMP_NAMESPACE",
        ),
        (
            "metadata: {name: b, namespace: a, labels: {}}\n",
            "F:1: metadata.labels is not a known key; known keys are namespace, name",
        ),
        (
            "metadata:\n",
            "F:1: metadata must be a mapping, not null; give it a value, or remove the key",
        ),
        (META + "endpoint: 5\n", "F:2: endpoint must be text, not 5"),
        (META + "token: 12345\n", "F:2: token must be text, not a number"),
        (META + "tls: {insecure: maybe}\n", "F:2: tls.insecure must be true or false, not 'maybe'"),
        (
            META + "grpcOptions: {a: 1.5}\n",
            "F:2: grpcOptions.a must be text or a whole number, not 1.5",
        ),
        (META + "exitOnLeaseEnd: 7\n", "F:2: exitOnLeaseEnd must be true or false, not 7"),
        (
            META + "failureDetection:\n  maxRapidFailures: -1\n",
            "F:3: failureDetection.maxRapidFailures must be at least 0, not -1",
        ),
        (
            META + "failureDetection:\n  max: 1\n",
            (
                "F:3: failureDetection.max is not a known key; "
                "known keys are maxRapidFailures, rapidFailureWindow"
            ),
        ),
        (META + "export: []\n", "F:2: export must be a mapping, not a list"),
    ],
)
def test_bad_top(tmp_path: Path, text: str, line: str) -> None:
    assert refusal(tmp_path, text) == line


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        (
            "",
            (
                "F:3: export.d must be a mapping with the key type, children or ref, not null; "
                "give it a value, or remove the key"
            ),
        ),
        (
            "TcpNetwork",
            "F:3: export.d must be a mapping with the key type, children or ref, not 'TcpNetwork'",
        ),
        ("{typ: a.B}", "F:3: export.d.typ is not a known key; did you mean 'type'?"),
        (
            "{config: {}}",
            "F:3: export.d.config is not a known key; add the key type to make this a driver",
        ),
        ("{type: 5}", "F:3: export.d.type must be text, not 5"),
        ("{type: ''}", "F:3: export.d.type must not be empty"),
        (
            "\n    type: a.B\n    confg: {}",
            "F:5: export.d.confg is not a known key; did you mean 'config'?",
        ),
        (
            "{type: a.B, config: }",
            "F:3: export.d.config must be a mapping, not null; give it a value, or remove the key",
        ),
        (
            "{type: a.B, config: {1: x}}",
            'F:3: export.d.config.1 is not read as text; put the key in quotes: "1"',
        ),
        (
            "{type: a.B, methods_description: {on: x}}",
            'F:3: export.d.methods_description.on is not read as text; put the key in quotes: "on"',
        ),
        (
            "\n    children:\n      x:\n        children: 3",
            "F:6: export.d.children.x.children must be a mapping, not 3",
        ),
        ("{ref: }", "F:3: export.d.ref must be text, not null; give it a value, or remove the key"),
        (
            "{ref: a, children: {}}",
            "F:3: export.d.children is not a known key; an entry with ref takes no other key",
        ),
        (
            "{type: 1, config: 2, foo: 3}",
            "F:3: export.d.type must be text, not 1 (also: 2 more: see `jmp exporter check F`)",
        ),
    ],
)
def test_bad_entry(tmp_path: Path, entry: str, line: str) -> None:
    assert refusal(tmp_path, f"{META}export:\n  d: {entry}\n") == line


@pytest.mark.parametrize(
    ("hook", "line"),
    [
        ("text", "F:3: hooks.beforeLease must be a mapping, not 'text'"),
        ("{}", "F:3: hooks.beforeLease.script is missing; add it"),
        ("{script: ''}", "F:3: hooks.beforeLease.script must not be empty"),
        ("{script: [a]}", "F:3: hooks.beforeLease.script must be text, not a list"),
        ("{script: x, timeout: 0}", "F:3: hooks.beforeLease.timeout must be at least 1, not 0"),
        (
            "{script: x, timeout: 1.5}",
            "F:3: hooks.beforeLease.timeout must be a whole number, not 1.5",
        ),
        (
            "{script: x, onFailure: stop}",
            "F:3: hooks.beforeLease.onFailure must be 'warn', 'endLease' or 'exit', not 'stop'",
        ),
        (
            "{script: x, on_failure: stop}",
            "F:3: hooks.beforeLease.on_failure must be 'warn', 'endLease' or 'exit', not 'stop'",
        ),
        (
            "{script: x, onfailure: warn}",
            "F:3: hooks.beforeLease.onfailure is not a known key; did you mean 'onFailure'?",
        ),
    ],
)
def test_bad_hook(tmp_path: Path, hook: str, line: str) -> None:
    assert refusal(tmp_path, f"{META}hooks:\n  beforeLease: {hook}\n") == line


def test_an_unknown_hook_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, META + "hooks: {beforeLeese: {script: x}}\n") == (
        "F:2: hooks.beforeLeese is not a known key; did you mean 'beforeLease'?"
    )


def test_a_message_stays_on_one_line(tmp_path: Path) -> None:
    line = refusal(tmp_path, META + 'export: {"a\\nb": "c\\nd\\e[31m"}\n')
    assert line.isprintable()
    assert r"export.a\nb must be" in line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: [", "not valid YAML: expected the node content, but found '<stream end>'"),
        ("", "the document must be a mapping with the key type, children or ref, not null"),
        ("typ: x", "typ is not a known key; did you mean 'type'?"),
    ],
)
def test_a_text_that_is_no_entry(text: str, line: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ExporterConfigV1Alpha1DriverInstance.from_str(text)
    assert caught.value.message == line
