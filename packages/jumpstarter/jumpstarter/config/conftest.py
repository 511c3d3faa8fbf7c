"""Configuration tests see neither the user's files nor the user's environment."""

import os
from pathlib import Path

import pytest

from jumpstarter.config.client import ClientConfigV1Alpha1, UserConfigV1Alpha1
from jumpstarter.config.exporter import ExporterConfigV1Alpha1


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home of configuration files."""
    for name in [name for name in os.environ if name.startswith("JMP_")]:
        monkeypatch.delenv(name)
    own = tmp_path / "home"
    monkeypatch.setattr(ExporterConfigV1Alpha1, "BASE_PATH", own / "exporters")
    monkeypatch.setattr(ExporterConfigV1Alpha1, "SYSTEM_CONFIG_PATH", tmp_path / "etc")
    monkeypatch.setattr(ClientConfigV1Alpha1, "CLIENT_CONFIGS_PATH", own / "clients")
    monkeypatch.setattr(UserConfigV1Alpha1, "BASE_CONFIG_PATH", own)
    monkeypatch.setattr(UserConfigV1Alpha1, "USER_CONFIG_PATH", own / "config.yaml")
    return own
