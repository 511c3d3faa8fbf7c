"""Credentials: the order of the sources, and what an unusable source does."""

import base64
import json
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from jumpstarter.driver.oci import (
    OciCredentials,
    parse_oci_registry,
    read_auth_file_credentials,
    resolve_oci_credentials,
)

VARIABLES = (
    "OCI_USERNAME",
    "OCI_PASSWORD",
    "REGISTRY_AUTH_FILE",
    "XDG_RUNTIME_DIR",
    "DOCKER_CONFIG",
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without credentials, and no variable that names any."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def _auth(user: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def _write(path: Path, auths: dict[str, dict[str, str]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"auths": auths}))
    return path


def _login(credentials: OciCredentials) -> tuple[str | None, str | None]:
    return credentials.username, credentials.plain_password


def test_credentials_strip_blanks():
    credentials = OciCredentials(username=" me ", password=SecretStr(" secret "))
    assert _login(credentials) == ("me", "secret")
    assert credentials.is_authenticated


@pytest.mark.parametrize(("username", "password"), [(None, None), ("", ""), (" ", "\t")])
def test_blank_credentials_are_anonymous(username: str | None, password: str | None):
    secret = None if password is None else SecretStr(password)
    credentials = OciCredentials(username=username, password=secret)
    assert _login(credentials) == (None, None)
    assert not credentials.is_authenticated


def test_half_a_credential_is_refused_without_quoting_it():
    with pytest.raises(ValidationError, match="both username and password") as caught:
        OciCredentials.model_validate({"password": "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_credentials_are_frozen_and_do_not_show_the_password():
    credentials = OciCredentials(username="me", password=SecretStr("hunter2"))
    assert "hunter2" not in repr(credentials)
    with pytest.raises(ValidationError):
        credentials.username = "you"  # pyright: ignore[reportAttributeAccessIssue] - frozen is the case


@pytest.mark.parametrize(
    ("reference", "registry"),
    [
        ("oci://registry.example.com/org/image:tag", "registry.example.com"),
        ("registry.example.com/org/image", "registry.example.com"),
        ("oci://registry.example.com/image@sha256:aa", "registry.example.com"),
        ("oci://localhost/image", "localhost"),
        ("oci://localhost:5000/image", "localhost:5000"),
        ("oci://registry:5000/image", "registry:5000"),
        ("oci://[::1]:5000/image", "[::1]:5000"),
        ("oci://docker.io/library/alpine", "docker.io"),
        ("oci://library/alpine", "docker.io"),
        ("oci://alpine", "docker.io"),
        ("oci://alpine:3.20", "docker.io"),
    ],
)
def test_registry_of_a_reference(reference: str, registry: str):
    assert parse_oci_registry(reference) == registry


def test_arguments_win(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OCI_USERNAME", "env")
    monkeypatch.setenv("OCI_PASSWORD", "env-secret")
    assert _login(resolve_oci_credentials("oci://r.io/x", "me", "mine")) == ("me", "mine")


def test_environment_comes_before_files(home: Path, monkeypatch: pytest.MonkeyPatch):
    _write(home / ".docker" / "config.json", {"r.io": _auth("file", "f")})
    monkeypatch.setenv("OCI_USERNAME", "env")
    monkeypatch.setenv("OCI_PASSWORD", "e")
    assert _login(resolve_oci_credentials("oci://r.io/x")) == ("env", "e")


def test_half_an_environment_is_passed_over_with_a_warning(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    _write(home / ".docker" / "config.json", {"r.io": _auth("file", "f")})
    monkeypatch.setenv("OCI_USERNAME", "env")
    assert _login(resolve_oci_credentials("oci://r.io/x")) == ("file", "f")
    assert "OCI_PASSWORD" in caplog.text


@pytest.mark.parametrize(("username", "password"), [("me", None), (None, "mine"), ("me", " ")])
def test_half_an_argument_is_an_error_of_one_line(username: str | None, password: str | None):
    with pytest.raises(ValueError, match="both username and password") as caught:
        resolve_oci_credentials("oci://r.io/x", username, password)
    assert "\n" not in str(caught.value)


def test_without_any_source_the_credentials_are_anonymous():
    assert not resolve_oci_credentials("oci://r.io/x").is_authenticated


def test_files_are_read_in_order(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(home / "named.json"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home / "run"))
    monkeypatch.setenv("DOCKER_CONFIG", str(home / "docker"))
    places = [
        home / "named.json",
        home / "run" / "containers" / "auth.json",
        home / ".config" / "containers" / "auth.json",
        home / "docker" / "config.json",
        home / ".docker" / "config.json",
    ]
    for number, place in enumerate(places):
        _write(place, {"r.io": _auth(f"user{number}", "x")})
    for number, place in enumerate(places):
        assert read_auth_file_credentials("oci://r.io/x").username == f"user{number}"
        place.unlink()
    assert not read_auth_file_credentials("oci://r.io/x").is_authenticated


def test_a_file_without_the_registry_is_passed_over(home: Path):
    _write(home / ".config" / "containers" / "auth.json", {"other.io": _auth("o", "o")})
    _write(home / ".docker" / "config.json", {"r.io": _auth("me", "mine")})
    assert _login(read_auth_file_credentials("oci://r.io/x")) == ("me", "mine")


@pytest.mark.parametrize(
    ("reference", "user"),
    [
        ("oci://r.io/any", "host"),
        ("oci://r.io/org/other:tag", "org"),
        ("oci://r.io/org/image/part@sha256:1", "image"),
        ("oci://r.io/organisation/image", "host"),
        ("oci://url.io/x", "url"),
        ("oci://alpine", "hub"),
        ("oci://index.docker.io/library/alpine", "hub"),
        ("oci://plain.io/x", "plain"),
    ],
)
def test_the_longest_entry_that_covers_the_image_counts(home: Path, reference: str, user: str):
    entries = {
        "r.io": _auth("host", "x"),
        "r.io/org": _auth("org", "x"),
        "r.io/org/image": _auth("image", "x"),
        "https://url.io/": _auth("url", "x"),
        "https://index.docker.io/v1/": _auth("hub", "x"),
        "plain.io": {"username": "plain", "password": "x"},
    }
    _write(home / ".docker" / "config.json", entries)
    assert read_auth_file_credentials(reference).username == user


def test_a_password_may_hold_colons(home: Path):
    _write(home / ".docker" / "config.json", {"r.io": _auth("me", "a:b:c")})
    assert _login(read_auth_file_credentials("oci://r.io/x")) == ("me", "a:b:c")


@pytest.mark.parametrize(
    "entry",
    [
        {"auth": "%%%"},
        {"auth": base64.b64encode(b"\xff\xfe").decode()},
        {"auth": base64.b64encode(b"only-a-name").decode()},
        {"username": "me"},
    ],
)
def test_an_unreadable_entry_is_passed_over_with_a_warning(
    home: Path, entry: dict[str, str], caplog: pytest.LogCaptureFixture
):
    path = _write(home / ".docker" / "config.json", {"r.io": entry})
    assert not read_auth_file_credentials("oci://r.io/x").is_authenticated
    assert str(path) in caplog.text


def test_an_entry_with_only_a_token_is_anonymous(home: Path):
    _write(home / ".docker" / "config.json", {"r.io": {"identitytoken": "abc"}})
    assert not read_auth_file_credentials("oci://r.io/x").is_authenticated


@pytest.mark.parametrize("content", ["{", "[]", '{"auths": 3}', '{"auths": {"r.io": "hunter2"}}'])
def test_a_malformed_file_is_passed_over_without_quoting_it(
    home: Path, content: str, caplog: pytest.LogCaptureFixture
):
    (home / ".docker").mkdir()
    (home / ".docker" / "config.json").write_text(content)
    assert not read_auth_file_credentials("oci://r.io/x").is_authenticated
    assert "config.json" in caplog.text
    assert "hunter2" not in caplog.text


def test_a_directory_in_place_of_a_file_is_passed_over_with_a_warning(
    home: Path, caplog: pytest.LogCaptureFixture
):
    (home / ".docker" / "config.json").mkdir(parents=True)
    assert not read_auth_file_credentials("oci://r.io/x").is_authenticated
    assert "config.json" in caplog.text
