import subprocess
import sys

import pytest

from jumpstarter.config import env


@pytest.mark.parametrize("word", ["1", "true", "True", "YES", "on", " t "])
def test_words_for_true(word: str) -> None:
    assert env.flag({"X": word}, "X") is True


@pytest.mark.parametrize("word", ["0", "false", "No", "off"])
def test_words_for_false(word: str) -> None:
    assert env.flag({"X": word}, "X") is False


@pytest.mark.parametrize("environ", [{}, {"X": ""}])
def test_an_empty_variable_is_not_set(environ: dict[str, str]) -> None:
    assert env.text(environ, "X") is None
    assert env.flag(environ, "X") is None
    assert env.seconds(environ, "X", at_least=0) is None


def test_another_word_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^X must be true or false, not 'maybe'$"):
        env.flag({"X": "maybe"}, "X")


@pytest.mark.parametrize("value", ["abc", "4.9", "nan", "inf", "-7"])
def test_what_is_no_number_of_seconds_is_refused(value: str) -> None:
    wanted = f"^X must be a number of seconds, at least 5, not '{value}'$"
    with pytest.raises(ValueError, match=wanted):
        env.seconds({"X": value}, "X", at_least=5)


def test_seconds_may_have_a_fraction() -> None:
    assert env.seconds({"X": "5.5"}, "X", at_least=5) == 5.5


def test_the_names_cost_no_import_of_pydantic_or_yaml() -> None:
    program = (
        "import sys, jumpstarter.config.env\n"
        "sys.exit(bool({'pydantic', 'yaml', 'grpc'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
