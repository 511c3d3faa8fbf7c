"""The file of an administrator."""

from pathlib import Path

import pytest

from jumpstarter.config.admin import AdminConfig
from jumpstarter.model import errors

TEXT = """\
apiVersion: jumpstarter.dev/v1alpha1
kind: AdminConfig
metadata:
  namespace: lab
  name: admin
endpoint: lab.example.com:8082
tls:
  ca: ''
  insecure: false
token: secret
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "admin.yaml"
    path.write_text(TEXT)
    return path


def test_what_is_saved_is_read_again(file: Path, tmp_path: Path):
    config = AdminConfig.load(file)
    assert (config.namespace, config.endpoint, config.token) == (
        "lab",
        "lab.example.com:8082",
        "secret",
    )
    saved = AdminConfig.save(config.model_copy(), tmp_path / "new" / "admin.yaml")
    assert saved.stat().st_mode & 0o777 == 0o600
    again = AdminConfig.load(saved)
    assert again.model_copy(update={"path": file}) == config


def test_without_a_path_it_is_the_users(file: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(AdminConfig, "DEFAULT_PATH", file)
    assert AdminConfig.load().path == file


@pytest.mark.parametrize(
    ("change", "line", "text"),
    [
        (("kind: AdminConfig", "kind: ClientConfig"), 2, "kind"),
        (("endpoint:", "tokn: x\nendpoint:"), 6, "did you mean 'token'?"),
        (("  namespace: lab", "  namespace: null"), 3, "needs a namespace"),
        (("token: secret", "token: [secret]"), 10, "token"),
        (("endpoint: lab.example.com:8082\n", ""), 1, "endpoint"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(
    file: Path, change: tuple[str, str], line: int, text: str
):
    file.write_text(TEXT.replace(*change))
    with pytest.raises(errors.ConfigurationError) as error:
        AdminConfig.load(file)
    assert error.value.message.startswith(f"{file}:{line}: ")
    assert text in error.value.message
    assert "secret" not in error.value.message


def test_a_file_that_is_not_there(tmp_path: Path):
    with pytest.raises(errors.FileNotFoundError, match=r"admin\.yaml"):
        AdminConfig.load(tmp_path / "admin.yaml")
