import base64
from collections.abc import Iterable
from pathlib import Path
from tempfile import NamedTemporaryFile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jumpstarter.config.check import (
    DriverCheck,
    DriverField,
    check_exporter_file,
    check_exporter_text,
)
from jumpstarter.config.exporter import ExporterConfigV1Alpha1
from jumpstarter.config.problems import Problem
from jumpstarter.model.errors import ConfigurationError

META = "metadata: {namespace: default, name: bench}\n"


def resolve(name: str) -> DriverCheck:
    """Know one driver, as a registry would."""
    if name == "Switch":
        return DriverCheck(
            fields={
                "host": DriverField(required=True),
                "port": DriverField(problem=port_problem),
                "children": DriverField(),
            }
        )
    if name == "Open":
        return DriverCheck(extra=True)
    return DriverCheck(error="no such driver is installed", hint="see `jmp driver list`")


def port_problem(value: object) -> str | None:
    """Accept whole numbers."""
    return None if isinstance(value, int) else f"must be a whole number, not {value!r}"


def lines(problems: Iterable[Problem]) -> list[str]:
    return [problem.text("F") for problem in problems]


def test_a_good_file_has_no_problem(tmp_path: Path) -> None:
    ca = base64.b64encode(b"-----BEGIN CERTIFICATE-----\n...").decode()
    path = tmp_path / "good.yaml"
    path.write_text(
        f"{META}"
        f"endpoint: lab:443\ntls: {{ca: {ca}}}\n"
        "export:\n"
        "  a: {type: Switch, config: {host: h, port: 1}}\n"
        "  b: {type: Open, config: {anything: 1}, children: {c: {ref: a}}}\n"
        "  g: {children: {p: {ref: b.c}, q: {ref: b.added.by.driver}, r: {ref: g.p.deeper}}}\n"
        f"hooks: {{beforeLease: {{script: '{path}', exec: sh}}, afterLease: {{script: exit 0}}}}\n"
    )
    assert check_exporter_file(path, resolve) == []


def test_everything_wrong_is_told_in_the_order_of_the_lines() -> None:
    text = """\
apiVersion: v2
metadata: {name: bench, lables: {}}
endpont: lab:443
tls: {ca: nonsense}
export:
  a:
    type: Switch
    config: {port: high, hots: x, description: y}
  a: {type: Missing}
  b: {ref: nope}
  c: {typ: Switch}
  d: {type: Switch, ref: a, config: {host: x}}
hooks:
  beforeLease: {script: x, onFailure: stop, timeout: 0}
  afterLease: {script: /no/such/script}
endpoint: https://lab
"""
    assert lines(check_exporter_text(text, resolve)) == [
        "F:1: apiVersion must be 'jumpstarter.dev/v1alpha1', not 'v2'",
        "F:2: metadata.namespace is missing; add it, or set JMP_NAMESPACE",
        "F:2: metadata.lables is not a known key; known keys are namespace, name",
        "F:3: endpont is not a known key and has no effect; did you mean 'endpoint'?",
        "F:4: tls.ca holds no certificate; give the PEM file encoded in base64: base64 -w0 ca.pem",
        "F:9: export.a stands here for the second time, first on line 6; remove one of the two",
        (
            "F:9: export.a.type 'Missing' cannot be used: no such driver is installed; "
            "see `jmp driver list`"
        ),
        (
            "F:10: export.b.ref points to 'nope', but there is no 'nope' in export; "
            "names are a, b, c, d"
        ),
        "F:11: export.c.typ is not a known key; did you mean 'type'?",
        "F:12: export.d.ref has no effect beside type; remove one of the two",
        "F:14: hooks.beforeLease.onFailure must be 'warn', 'endLease' or 'exit', not 'stop'",
        "F:14: hooks.beforeLease.timeout must be at least 1, not 0",
        (
            "F:15: hooks.afterLease.script names a file that does not exist: '/no/such/script'; "
            "correct the path, or install it on the exporter's machine"
        ),
        "F:16: endpoint is a URL; write host:port",
    ]


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ("{}", ["F:2: export.d.config lacks 'host', which Switch requires; add it under config"]),
        (
            "{host: x, hots: y}",
            ["F:2: export.d.config.hots is not a field of this driver; did you mean 'host'?"],
        ),
        (
            "{host: x, wholly: y}",
            [
                (
                    "F:2: export.d.config.wholly is not a field of this driver; "
                    "its fields are host, port"
                )
            ],
        ),
        (
            "{host: x, port: high}",
            ["F:2: export.d.config.port must be a whole number, not 'high'"],
        ),
        (
            "{host: x, description: y}",
            ["F:2: export.d.config.description is not the driver's to take; move it beside type"],
        ),
        ("[]", ["F:2: export.d.config must be a mapping, not a list"]),
    ],
)
def test_what_a_driver_does_not_accept(config: str, told: list[str]) -> None:
    text = f"{META}export: {{d: {{type: Switch, config: {config}}}}}\n"
    assert lines(check_exporter_text(text, resolve)) == told


def test_a_driver_that_lacks_config_is_told_at_its_entry() -> None:
    text = f"{META}export:\n  g:\n    children:\n      d: {{type: Switch}}\n"
    assert lines(check_exporter_text(text, resolve)) == [
        "F:5: export.g.children.d lacks 'host', which Switch requires; add it under config"
    ]


def test_drivers_are_not_looked_at_without_a_registry() -> None:
    assert check_exporter_text(f"{META}export: {{d: {{type: Missing}}}}\n") == []


@pytest.mark.parametrize(
    ("export", "told"),
    [
        (
            "{g: {children: {a: {}}}, p: {ref: g.b}}",
            "export.p.ref points to 'g.b', but there is no 'b' in 'g'; names are a",
        ),
        ("{pover: {}, p: {ref: powr}, power: {}}", "did you mean 'power'?"),
        ("{p: {ref: p}}", "export.p.ref leads back to itself"),
        ("{g: {children: {p: {ref: g}}}}", "export.g.children.p.ref leads back to itself"),
    ],
)
def test_references_that_cannot_be_followed(export: str, told: str) -> None:
    (problem,) = check_exporter_text(f"{META}export: {export}\n")
    assert told in problem.text()


def test_each_proxy_of_a_circle_is_told_and_none_beside_it() -> None:
    export = "{a: {ref: g.b}, g: {children: {b: {ref: h}}}, h: {children: {c: {ref: a}}}}"
    text = f"{META}export: {export[:-1]}, beside: {{ref: a}}}}\n"
    assert [problem.where for problem in check_exporter_text(text)] == [
        "export.a.ref",
        "export.g.children.b.ref",
        "export.h.children.c.ref",
    ]


def test_a_program_that_is_not_there() -> None:
    text = f"{META}hooks: {{beforeLease: {{script: x, exec: /no/such/shell}}}}\n"
    assert lines(check_exporter_text(text)) == [
        (
            "F:2: hooks.beforeLease.exec names no program here: '/no/such/shell'; "
            "correct the path, or install it on the exporter's machine"
        )
    ]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    (problem,) = check_exporter_file(tmp_path / "gone.yaml")
    assert problem.text(tmp_path / "gone.yaml") == (
        f"configuration file '{tmp_path}/gone.yaml' does not exist; check the path"
    )


@pytest.mark.parametrize("text", ["", "- a", "a: ["])
def test_what_is_no_mapping_has_one_problem(text: str) -> None:
    assert len(check_exporter_text(text, resolve)) == 1


_LEAVES = st.sampled_from([None, True, 0, 1.5, "", "a", "a.b", "x.Y", "Switch", "warn"])
_KEYS = st.sampled_from(
    [
        "metadata",
        "namespace",
        "name",
        "export",
        "hooks",
        "tls",
        "ca",
        "type",
        "ref",
        "children",
        "config",
        "description",
        "a",
        "b",
        "1",
        "beforeLease",
        "script",
        "exec",
        "timeout",
        "failureDetection",
        "grpcOptions",
        "token",
        "kind",
        "host",
        "port",
    ]
)
_FILES = st.dictionaries(
    _KEYS,
    st.recursive(
        _LEAVES,
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_KEYS, inner, max_size=4),
    ),
)


@settings(max_examples=60, deadline=None)  # the machine may be busy
@given(_FILES)
def test_a_check_finds_something_wherever_loading_fails(data: dict[str, object]) -> None:
    text = repr(data).replace("None", "null").replace("True", "true")
    found = check_exporter_text(text, resolve)
    assert all(problem.text("F").isprintable() for problem in found)
    with NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        refused = ""
        try:
            ExporterConfigV1Alpha1.load_path(Path(file.name))
        except ConfigurationError as error:
            refused = error.message
    assert found or not refused
