import pytest

from .output import print_data, print_table, table


def test_table_has_no_borders_and_no_blanks_at_the_end():
    assert table(("A", "LONG"), [("xyz", "1"), ("", "")]) == ["A    LONG", "xyz  1", ""]


def test_empty_table_says_so(capsys: pytest.CaptureFixture[str]):
    print_table(("A",), [], empty="No resources found.")
    assert capsys.readouterr().out == "No resources found.\n"


@pytest.mark.parametrize(
    ("form", "text"),
    [("json", '{\n    "a": [\n        "é"\n    ]\n}\n'), ("yaml", "a:\n- é\n")],
)
def test_data_is_written_in_the_form_asked_for(
    form: str, text: str, capsys: pytest.CaptureFixture[str]
):
    print_data({"a": ["é"]}, form)
    assert capsys.readouterr().out == text
