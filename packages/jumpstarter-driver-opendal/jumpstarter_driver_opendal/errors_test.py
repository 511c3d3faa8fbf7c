"""Errors of the storage library become builtin ones."""

import opendal
import pytest

from jumpstarter_driver_opendal.errors import translated


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("NotFound", FileNotFoundError),
        ("PermissionDenied", PermissionError),
        ("IsADirectory", IsADirectoryError),
        ("NotADirectory", NotADirectoryError),
        ("AlreadyExists", FileExistsError),
        ("IsSameFile", ValueError),
        ("Unsupported", NotImplementedError),
        ("Unexpected", OSError),
        ("ConditionNotMatch", OSError),
    ],
)
def test_error_is_builtin_and_names_operation_and_path(theirs: str, ours: type[Exception]) -> None:
    kind: type[Exception] = getattr(opendal.exceptions, theirs)
    with pytest.raises(ours) as caught, translated("stat", "a/b"):
        raise kind("Kind (temporary) at stat => words\n\nContext:\n   path: a/b\n")
    assert type(caught.value) is ours
    assert str(caught.value).startswith("stat 'a/b': ")
    assert "\n" not in str(caught.value)


def test_unknown_failure_keeps_its_reason() -> None:
    with pytest.raises(OSError, match=r"^stat 'a': disk on fire$"), translated("stat", "a"):
        raise opendal.exceptions.Unexpected(
            "Unexpected (temporary) at stat => disk on fire\n\nContext:\n"
        )


def test_error_of_an_open_file_keeps_its_class_and_reason() -> None:
    with pytest.raises(PermissionError) as caught, translated("write", "a"):
        raise PermissionError("Unexpected (temporary) at write, context: { path: a } => no way in")
    assert str(caught.value) == "write 'a': no way in"


def test_other_errors_pass() -> None:
    with pytest.raises(KeyError), translated("stat", "a"):
        raise KeyError
