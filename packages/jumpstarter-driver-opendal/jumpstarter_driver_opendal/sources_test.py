"""What a path on the client's side stands for."""

from pathlib import Path
from urllib.parse import urlparse

import pytest
from jumpstarter.common.exceptions import ArgumentError
from jumpstarter.streams.encoding import Compression
from opendal import Operator

from jumpstarter_driver_opendal.sources import (
    clean_filename,
    operator_for_path,
    path_with_query,
    source_of,
    target_of,
)


@pytest.mark.parametrize(
    ("path", "inner"),
    [
        ("http://host:1/a/b.img?x=1&y=2#f", "/a/b.img"),
        ("https://host/a%20b", "/a%20b"),
        ("HTTPS://host/a", "/a"),
    ],
)
def test_web_address_is_a_path_on_its_server(path: str, inner: str) -> None:
    found, operator, scheme = operator_for_path(path)
    assert (found, scheme) == (Path(inner), "http")
    assert "http" in repr(operator)


@pytest.mark.parametrize("path", ["/a/b", Path("/a/b")])
def test_local_path_is_absolute(path: str | Path) -> None:
    found, operator, scheme = operator_for_path(path)
    assert (found, scheme) == (Path("/a/b"), "fs")
    assert "fs" in repr(operator)


def test_relative_path_is_taken_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert operator_for_path("x")[0] == tmp_path / "x"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("https://host/a/b.img?x=/y", "b.img"),
        ("/a/b.img", "b.img"),
        (Path("a/b.img"), "b.img"),
        ("https://host/", ""),
    ],
)
def test_clean_filename_has_no_query(path: str | Path, name: str) -> None:
    assert clean_filename(path) == name


def test_query_is_kept_with_its_path() -> None:
    assert path_with_query(urlparse("https://host/a%20b?x=1&y=2#f")) == "/a%20b?x=1&y=2"
    assert path_with_query(urlparse("https://host/a")) == "/a"


def test_web_address_is_passed_on_untouched() -> None:
    assert source_of("https://host/a%20b?x=1", None).url == "https://host/a%20b?x=1"


def test_compressed_web_address_passes_through_the_client() -> None:
    source = source_of("https://host/a%20b.gz", None, Compression.GZIP)
    assert (source.url, source.path) == (None, "/a b.gz")


def test_compressed_web_address_with_query_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"a\.gz: 'compression' is not possible"):
        source_of("https://host/a.gz?x=1", None, Compression.GZIP)


def test_given_operator_gets_the_path_as_it_is() -> None:
    operator = Operator("memory")
    assert source_of("https://a", operator).path == "https://a"
    assert target_of("x", operator).operator is operator


def test_web_address_cannot_be_written_through_the_client() -> None:
    with pytest.raises(ArgumentError, match="https://host/a: cannot be written to"):
        target_of("https://host/a", None)
