"""What is removed from a directory, and what is never touched."""

import logging
import os
from pathlib import Path

import pytest

from jumpstarter_driver_opendal.cleanup import (
    missing_directories,
    remove_created,
    remove_unfinished,
)

LOGGER = logging.getLogger("cleanup")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path.resolve() / "root"
    path.mkdir()
    return path


def test_files_and_directories_are_removed(root: Path) -> None:
    (root / "kept").touch()
    (root / "file").touch()
    (root / "dir/below").mkdir(parents=True)
    (root / "dir/below/file").touch()
    remove_created(root, {"file", "dir", "missing"}, frozenset(), LOGGER)
    assert list(root.iterdir()) == [root / "kept"]


def test_link_is_removed_and_not_what_it_points_to(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").touch()
    (root / "link").symlink_to(outside)
    remove_created(root, {"link"}, frozenset(), LOGGER)
    assert not (root / "link").is_symlink()
    assert (outside / "file").exists()


def test_nothing_behind_a_link_out_of_the_root_is_removed(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").touch()
    (root / "link").symlink_to(outside)
    remove_created(root, {"link/file"}, {"link"}, LOGGER)
    assert (outside / "file").exists()


@pytest.mark.parametrize("name", ["", ".", "..", "../outside"])
def test_root_and_what_lies_outside_stay(root: Path, tmp_path: Path, name: str) -> None:
    (root / "kept").touch()
    (tmp_path / "outside").touch()
    remove_created(root, {name}, {name}, LOGGER)
    assert (root / "kept").exists()
    assert (tmp_path / "outside").exists()


def test_parents_go_only_when_they_are_empty(root: Path) -> None:
    (root / "a/b").mkdir(parents=True)
    (root / "a/b/file").touch()
    (root / "c").mkdir()
    (root / "c/other").touch()
    remove_created(root, {"a/b/file"}, {"a", "a/b", "c"}, LOGGER)
    assert [path.name for path in root.iterdir()] == ["c"]


def test_failure_is_logged_and_the_rest_is_removed(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (root / "b").touch()
    (root / "a").touch()
    remove_created(root, {"a", "b/below"}, frozenset(), LOGGER)
    assert not (root / "a").exists()
    assert "cannot remove b/below" in caplog.text


def test_unfinished_file_is_removed_and_a_pipe_is_not(root: Path) -> None:
    (root / "file").touch()
    os.mkfifo(root / "pipe")
    (root / "link").symlink_to("file")
    for name in ("pipe", "link", "file", "missing"):
        remove_unfinished(root, name, LOGGER)
    assert sorted(os.listdir(root)) == ["link", "pipe"]


def test_missing_directories_are_those_that_writing_makes(root: Path) -> None:
    (root / "a").mkdir()
    assert missing_directories(root, "a/b/c/file") == {"a/b", "a/b/c"}
    assert missing_directories(root, "a/file") == frozenset()
