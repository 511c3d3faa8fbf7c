import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jumpstarter.config.documents import DocumentError, dump, parse

YAML_CHARACTERS = "ab01 :-[]{},&*!|>'\"#%@\n\t<=?.~ä\x00\x85"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [\n", (2, 1, "not valid YAML: expected the node content, but found '<stream end>'")),
        ("a: 1\n b: 2\n", (2, 3, "not valid YAML: mapping values are not allowed here")),
        (
            "a: 1\n---\nb: 2\n",
            (
                2,
                1,
                (
                    "not valid YAML: expected a single document in the stream, "
                    "but found another document"
                ),
            ),
        ),
        ("a: !!int x\n", (1, 4, "not valid YAML: 'x' cannot be read as int")),
        ("a: 2001-99-99\n", (1, 4, "not valid YAML: '2001-99-99' cannot be read as timestamp")),
        (
            "a: &x [*x]\n",
            (1, 4, "not valid YAML: an anchor is used inside the value that it names"),
        ),
        (
            "a: !mine x\n",
            (1, 4, "not valid YAML: could not determine a constructor for the tag '!mine'"),
        ),
        ("a: b\nc: \x07\n", (2, 4, "not valid YAML: character #x0007 is not allowed")),
        ("[" * 5000, (1, None, "the document is nested too deeply")),
    ],
)
def test_what_is_no_document(text: str, told: tuple[int, int | None, str]) -> None:
    with pytest.raises(DocumentError) as caught:
        parse(text)
    problem = caught.value.problem
    assert (problem.line, problem.column, problem.message) == told


def test_anchors_that_multiply_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    with pytest.raises(DocumentError, match="the document holds more than 100000 values"):
        parse("\n".join(lines))


def test_the_place_of_a_key() -> None:
    document = parse("a:\n  b:\n    - x\n    - c: 1\n")
    assert document.position(("a", "b", 1, "c")) == (4, 7)
    assert document.position(("a", "b")) == (2, 3)


def test_the_place_of_an_absent_key_is_that_of_its_mapping() -> None:
    document = parse("x: 1\na:\n  b: 1\n")
    assert document.position(("a", "missing", "deeper")) == (2, 1)
    assert document.position(("missing",)) == (1, 1)
    assert parse("").position(("a",)) == (1, 1)


def test_a_key_that_yaml_does_not_read_as_text_is_shown_as_written() -> None:
    document = parse("a:\n  on: 1\n")
    assert document.value == {"a": {True: 1}}
    assert document.as_written(("a", True)) == "on"
    assert document.position(("a", True)) == (2, 3)


def test_a_merged_key_is_found_where_it_stands() -> None:
    document = parse("base: &base\n  x: 1\nuse:\n  <<: *base\n  y: 2\n")
    assert document.value == {"base": {"x": 1}, "use": {"x": 1, "y": 2}}
    assert document.position(("use", "x")) == (2, 3)
    assert document.duplicates == ()


def test_each_second_key_is_a_problem() -> None:
    document = parse("a: 1\nb:\n  - {c: 1, d: 2, c: 3}\na: 2\na: 3\n")
    assert sorted(problem.text("F") for problem in document.duplicates) == [
        "F:3: b.0.c stands here for the second time, first on line 3; remove one of the two",
        "F:4: a stands here for the second time, first on line 1; remove one of the two",
        "F:5: a stands here for the second time, first on line 1; remove one of the two",
    ]


def test_a_script_is_written_as_a_block() -> None:
    text = dump({"script": "set -e\necho ä\n", "after": None})
    assert text == "script: |\n  set -e\n  echo ä\nafter: null\n"
    assert parse(text).value == {"script": "set -e\necho ä\n", "after": None}


def test_what_yaml_has_no_form_for_is_not_written() -> None:
    with pytest.raises(ValueError, match="a value of type object cannot be written as YAML"):
        dump({"a": object()})


@settings(deadline=None)  # the machine may be busy
@given(st.text(alphabet=YAML_CHARACTERS, max_size=60))
def test_any_text_is_a_document_or_an_error_of_one_line(text: str) -> None:
    try:
        document = parse(text)
        told = document.as_written(("a", 0))
    except DocumentError as error:
        told = error.problem.text("F")
    assert told == "0" or (told and told.isprintable())


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()


@pytest.mark.parametrize("character", ["\r", "\x85", "\u2028", "\u2029", "\ufeff", "\x00"])
def test_odd_line_breaks_are_kept(character: str) -> None:
    value = {f"a{character}": f"b{character}c\n{character}"}
    assert parse(dump(value)).value == value


@settings(deadline=None)  # the machine may be busy
@given(
    st.recursive(
        _SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
    )
)
def test_what_is_written_is_read_again(value: object) -> None:
    assert parse(dump(value)).value == value
