"""How paths are read, and which are refused."""

import itertools
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest

from jumpstarter_driver_opendal.paths import (
    directory_path,
    path_text,
    plain_path,
    refuse_way_out,
    storage_path,
)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a", "a"),
        ("/a/b", "a/b"),
        ("a//b", "a/b"),
        ("./a", "a"),
        ("a/./b/../c", "a/c"),
        ("a\\b", "a/b"),
        ("a/", "a/"),
        ("a/b/..", "a/"),
        ("a/.", "a/"),
        ("a..b/..c", "a..b/..c"),
        ("", "/"),
        ("/", "/"),
        (".", "/"),
        ("a/..", "/"),
    ],
)
def test_path_becomes_the_name_in_the_storage(path: str, name: str) -> None:
    assert storage_path(path) == name


@pytest.mark.parametrize("path", ["..", "../a", "a/../../b", "/..", "..\\a", "a/..\\..\\b"])
def test_path_out_of_the_root_is_refused_by_name(path: str) -> None:
    with pytest.raises(ValueError, match="leads out of the storage root") as caught:
        storage_path(path)
    assert repr(path) in str(caught.value)


def test_path_with_nul_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        storage_path("a\0b")


@pytest.mark.parametrize("length", range(1, 6))
def test_no_path_names_anything_outside(length: int) -> None:
    accepted = 0
    for segments in itertools.product(["..", ".", "", "a", "..\\", "\\b"], repeat=length):
        try:
            name = storage_path("/".join(segments))
        except ValueError:
            continue
        accepted += 1
        assert ".." not in name.split("/")
        assert "\\" not in name
        assert name == "/" or not name.startswith("/")
        assert storage_path(name) == name
    assert accepted


def test_directory_ends_in_one_slash() -> None:
    assert [directory_path("a"), directory_path("a/"), directory_path("/")] == ["a/", "a/", "/"]


def test_plain_path_has_no_slash_at_its_ends() -> None:
    assert [plain_path("a/b/"), plain_path("a"), plain_path("/")] == ["a/b", "a", ""]


def test_path_object_is_sent_with_slashes() -> None:
    assert path_text(PureWindowsPath("a\\b")) == "a/b"
    assert path_text(PurePosixPath("a/b")) == "a/b"
    assert path_text("a\\b") == "a\\b"


def test_link_inside_the_root_is_followed(tmp_path: Path) -> None:
    root = tmp_path.resolve() / "root"
    (root / "real").mkdir(parents=True)
    (root / "link").symlink_to(root / "real")
    refuse_way_out(root, "link/file")
    refuse_way_out(root, "/")


@pytest.mark.parametrize("path", ["link", "link/", "link/secret", "dangling"])
def test_link_out_of_the_root_is_refused(tmp_path: Path, path: str) -> None:
    root = tmp_path.resolve() / "root"
    root.mkdir()
    (root / "link").symlink_to(tmp_path)
    (root / "dangling").symlink_to(tmp_path / "missing")
    with pytest.raises(ValueError, match="follows a link out of the storage root"):
        refuse_way_out(root, path)
