"""The token of an open connection follows its file."""

import os
from pathlib import Path

import pytest

from jumpstarter.config.current_token import CurrentToken

FILE = "metadata: {{namespace: lab, name: me}}\ntoken: {token}\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "me.yaml"
    path.write_text(FILE.format(token="first"))
    return path


def replace(path: Path, text: str) -> None:
    """Write as our own files are written: as a new file in the old one's place."""
    path.with_suffix(".tmp").write_text(text)
    os.replace(path.with_suffix(".tmp"), path)


def test_a_new_file_has_a_new_token(path: Path):
    token = CurrentToken("first", path)
    assert token() == "first"
    replace(path, FILE.format(token="again"))
    assert (token(), token()) == ("again", "again")


def test_the_token_in_memory_counts_until_the_file_changes(path: Path):
    token = CurrentToken("given", path)
    assert token() == "given"
    replace(path, FILE.format(token="other"))
    assert token() == "other"


@pytest.mark.parametrize("text", ["", "token: [", "metadata: {}\n", "token: null\n", "token: 5\n"])
def test_a_file_without_a_token_changes_nothing(path: Path, text: str):
    token = CurrentToken("first", path)
    replace(path, text)
    assert token() == "first"
    replace(path, FILE.format(token="later"))
    assert token() == "later"


def test_a_file_that_is_gone_changes_nothing(path: Path):
    token = CurrentToken("first", path)
    path.unlink()
    assert token() == "first"
    path.write_text(FILE.format(token="back"))
    assert token() == "back"


def test_without_a_file():
    assert CurrentToken("first", None)() == "first"


def test_the_file_is_only_read_when_it_has_changed(path: Path, monkeypatch: pytest.MonkeyPatch):
    token = CurrentToken("first", path)
    read = list[Path]()
    monkeypatch.setattr("jumpstarter.config.current_token._token_in", read.append)
    for _ in range(3):
        token()
    assert read == []
    os.utime(path, ns=(1, 1))
    for _ in range(3):
        token()
    assert read == [path]
