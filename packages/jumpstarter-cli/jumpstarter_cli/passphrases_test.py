from pathlib import Path

import click
import pytest

from .passphrases import chosen_passphrase

ENVIRON = {"JMP_GRPC_PASSPHRASE": "from the environment"}


def test_text_is_stronger_than_the_environment():
    assert chosen_passphrase("typed", None, ENVIRON) == "typed"


def test_file_gives_its_first_line(tmp_path: Path):
    file = tmp_path / "secret"
    file.write_text("from a file\r\n# more\n")
    assert chosen_passphrase(None, file, ENVIRON) == "from a file"


def test_environment_is_used_when_nothing_is_typed():
    assert chosen_passphrase(None, None, ENVIRON) == "from the environment"


def test_there_may_be_none():
    assert chosen_passphrase(None, None, {"JMP_GRPC_PASSPHRASE": ""}) is None


def test_two_are_refused(tmp_path: Path):
    with pytest.raises(click.UsageError, match="exclude each other"):
        chosen_passphrase("typed", tmp_path, {})


@pytest.mark.parametrize("secret", ["", " ", "a ", "grün", "a\tb"])
def test_what_grpc_cannot_carry_is_refused_and_not_shown(secret: str):
    with pytest.raises(click.UsageError, match="must be printable ASCII") as caught:
        chosen_passphrase(secret, None, {})
    assert secret.strip() == "" or secret not in str(caught.value)


def test_empty_file_is_refused_by_name(tmp_path: Path):
    file = tmp_path / "secret"
    file.write_bytes(b"")
    with pytest.raises(click.UsageError, match=f"the passphrase in '{file}'"):
        chosen_passphrase(None, file, ENVIRON)


def test_missing_file_is_an_error_of_the_system(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        chosen_passphrase(None, tmp_path / "none", ENVIRON)
