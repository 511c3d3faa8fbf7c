import os
import stat
from pathlib import Path

import pytest

from jumpstarter.config import files
from jumpstarter.model import errors


def test_only_the_owner_may_read_what_is_written(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        files.write_text(tmp_path / "new" / "f.yaml", "a: b\n")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new" / "f.yaml").stat().st_mode) == 0o600


def test_rewriting_takes_wider_permissions_away(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_text("old")
    path.chmod(0o644)
    files.write_text(path, "new")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new", 0o600)


def test_a_reader_keeps_the_whole_old_file(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    files.write_text(path, "old text, all of it")
    with path.open() as reader:
        files.write_text(path, "new")
        assert reader.read() == "old text, all of it"
    assert path.read_text() == "new"


def test_failing_to_replace_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f.yaml"
    files.write_text(path, "old")

    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(errors.ConfigurationError) as caught:
        files.write_text(path, "new")
    assert caught.value.message == f"cannot write '{path}': No space left on device"
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("f.yaml", "old")]


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "link.yaml").symlink_to(tmp_path / "real.yaml")
    files.write_text(tmp_path / "link.yaml", "text")
    assert (tmp_path / "link.yaml").is_symlink()
    assert (tmp_path / "real.yaml").read_text() == "text"


def test_a_place_where_even_root_cannot_write() -> None:
    path = Path("/proc/jumpstarter-test.yaml")
    with pytest.raises(errors.ConfigurationError, match=f"^cannot write '{path}': "):
        files.write_text(path, "text")


def test_a_directory_that_cannot_be_created(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(errors.ConfigurationError) as caught:
        files.make_directory(tmp_path / "file" / "sub")
    assert caught.value.message == f"cannot create '{tmp_path / 'file' / 'sub'}': Not a directory"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.FileNotFoundError) as caught:
        files.read_text(tmp_path / "gone.yaml")
    assert caught.value.message == (
        f"configuration file '{tmp_path}/gone.yaml' does not exist; check the path"
    )


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigurationError) as caught:
        files.read_text(tmp_path)
    assert caught.value.message == (
        f"'{tmp_path}' is a directory; give the path of a configuration file"
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_told(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.touch(mode=0o000)
    with pytest.raises(errors.ConfigurationError) as caught:
        files.read_text(path)
    assert caught.value.message == f"cannot read '{path}': Permission denied"


def test_a_file_that_cannot_be_read_is_told() -> None:
    with pytest.raises(errors.ConfigurationError, match=r"^cannot read '/proc/self/mem': "):
        files.read_text(Path("/proc/self/mem"))


def test_the_line_that_is_not_utf8_is_told(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes(b"a: b\nc: \xe4\n")
    with pytest.raises(errors.ConfigurationError) as caught:
        files.read_text(path)
    assert caught.value.message == f"{path}:2: the file is not UTF-8 text; save it as UTF-8"


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_bytes(b"\xef\xbb\xbfa: b")
    assert files.read_text(tmp_path / "f.yaml") == "a: b"


def test_listed_are_files_of_the_suffix_by_name(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yaml", "c.yml", "d.yaml.bak"):
        (tmp_path / name).touch()
    (tmp_path / "e.yaml").mkdir()
    assert [path.name for path in files.listed(tmp_path, ".yaml")] == ["a.yaml", "b.yaml"]
    assert files.listed(tmp_path / "absent", ".yaml") == []


def test_deleting_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(errors.FileNotFoundError):
        files.delete(tmp_path / "gone.yaml")
