"""Which names mean a path below the root, and that no name means anything else."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jumpstarter_driver_tftp.errors import FileRefused
from jumpstarter_driver_tftp.names import path_below_root


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("boot.img", ("boot.img",)),
        ("pxe/boot.img", ("pxe", "boot.img")),
        ("/boot.img", ("boot.img",)),
        ("//pxe/./boot.img/", ("pxe", "boot.img")),
        ("\\Boot\\BCD", ("Boot", "BCD")),
        ("file..name", ("file..name",)),
        ("...", ("...",)),
        ("C:/x", ("C:", "x")),
        (" ", (" ",)),
    ],
)
def test_path(name: str, path: tuple[str, ...]):
    assert path_below_root(name) == path


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("", 1),
        ("/", 1),
        (".", 1),
        ("a\0b", 1),
        ("..", 2),
        ("../x", 2),
        ("a/../b", 2),
        ("a\\..\\b", 2),
        ("/..", 2),
    ],
)
def test_refused(name: str, code: int):
    with pytest.raises(FileRefused) as caught:
        path_below_root(name)
    assert caught.value.code == code


@given(st.lists(st.sampled_from(["..", ".", "/", "\\", "a", "\0", " "])).map("".join))
@example("./../..")
def test_no_name_leaves_the_root(name: str):
    try:
        path = path_below_root(name)
    except FileRefused:
        return
    assert path
    for part in path:
        assert part not in {"", ".", ".."}
        assert not set(part) & {"/", "\\", "\0"}
