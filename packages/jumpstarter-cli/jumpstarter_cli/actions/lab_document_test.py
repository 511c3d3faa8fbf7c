"""Credentials in the text of an exporter's file: what changes, and what stays."""

import pytest
from jumpstarter.config.documents import parse

from jumpstarter_cli.actions.lab_document import with_sections

SECTIONS = {
    "metadata": {"namespace": "lab", "name": "board"},
    "endpoint": "lab:8082",
    "tls": {"ca": "Y2E=", "insecure": False},
    "token": "t.o.k",
}
HEAD = """\
metadata:
  namespace: lab
  name: board
endpoint: lab:8082
tls:
  ca: Y2E=
  insecure: false
token: t.o.k
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("export: {a: {type: X}}\n", f"{HEAD}export: {{a: {{type: X}}}}\n"),
        ("# mine\nexport:\n  a: {type: X} # x\n", f"# mine\n{HEAD}export:\n  a: {{type: X}} # x\n"),
        ("export: {}", f"{HEAD}export: {{}}\n"),
        (
            "kind: ExporterConfig # k\nexport: {}\n",
            f"kind: ExporterConfig # k\n{HEAD}export: {{}}\n",
        ),
        (
            "metadata: {namespace: a, name: b}\n\n# drivers\nexport: {}\n",
            f"{HEAD}\n# drivers\nexport: {{}}\n",
        ),
        (
            (
                "endpoint: old\n# about the token\ntoken: old\n"
                "metadata:\n  namespace: a\n  name: b\n"
                "  # inside\n\n# after\nexport: {}\nhooks: {}\n"
            ),
            (
                "endpoint: lab:8082\n# about the token\ntoken: t.o.k\nmetadata:\n  namespace: lab\n"
                "  name: board\ntls:\n  ca: Y2E=\n  insecure: false\n  # inside\n\n# after\n"
                "export: {}\n"
                "hooks: {}\n"
            ),
        ),
        (
            "export: {}\ntoken: |\n  old\n  and\n# end\n",
            (
                "metadata:\n  namespace: lab\n  name: board\nendpoint: lab:8082\ntls:\n  ca: Y2E=\n"
                "  insecure: false\nexport: {}\ntoken: t.o.k\n# end\n"
            ),
        ),
        ("---\nexport: {}\n", f"---\n{HEAD}export: {{}}\n"),
    ],
)
def test_only_the_sections_change(before: str, after: str):
    assert with_sections(before, SECTIONS) == after


@pytest.mark.parametrize(
    "before",
    [
        "{export: {a: {type: X}}, token: old}\n",
        "metadata: &m {namespace: a, name: b}\nexport: {a: *m}\n",
        "'export': {}\n'token': old\n",
        "export: {}\r\ntoken: old\r\n",
        "export: {}\n...\n",
        "? export\n: {}\n? token\n: old\n",
    ],
)
def test_other_forms_say_the_same_afterwards(before: str):
    wanted = {**parse(before).value, **SECTIONS}  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType] - a mapping
    after = with_sections(before, SECTIONS)
    assert parse(after).value == wanted
    assert with_sections(after, SECTIONS) == after


def test_what_is_there_already_stays_as_it_is():
    text = f"# a\n{HEAD}# b\nexport: {{}}\n"
    assert with_sections(text, SECTIONS) == text
