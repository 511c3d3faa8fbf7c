"""What may be imported by name, and what is said of the rest; against real packages on the path."""

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jumpstarter.model.errors import ConfigurationError, MissingDriverError
from jumpstarter.plugins import (
    CLIENTS,
    DRIVERS,
    cached_import,
    dotted,
    driver_class,
    import_class,
    install_hint,
    installed,
)

MODULES = {
    "jumpstarter_driver_fake/__init__.py": "",
    "jumpstarter_driver_fake/client.py": "class FakeClient: ...\nclass Other: ...",
    "jumpstarter_driver_fake/driver.py": "class Fake: ...",
    "jumpstarter_driver_fake/lacks_dependency.py": "import jumpstarter_absent_dependency",
    "jumpstarter_driver_fake/lacks_attribute.py": "import os\nos.no_such_thing",
    "jumpstarter_driver_fake/raises.py": "raise OSError('no libfake.so\\nsecond line')",
    "jumpstarter_driver_fake/wrong.py": "class",
    "fake-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: fake\nVersion: 1.0\n",
    "fake-1.0.dist-info/entry_points.txt": (
        "[jumpstarter.drivers]\n"
        "FakeB = jumpstarter_driver_fake.driver:Absent\n"
        "FakeA = jumpstarter_driver_fake.driver:Fake\n"
        "[jumpstarter.clients]\n"
        "Fake = jumpstarter_driver_fake.client:FakeClient\n"
    ),
}

CLIENT = "jumpstarter_driver_fake.client.FakeClient"
OTHER = "jumpstarter_driver_fake.client.Other"


def forget() -> None:
    installed.cache_clear()
    cached_import.cache_clear()
    for name in [name for name in sys.modules if name.startswith("jumpstarter_driver_fake")]:
        del sys.modules[name]


@pytest.fixture(autouse=True)
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install a distribution that offers two drivers, one of which is not there, and a client."""
    for name, text in MODULES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    importlib.invalidate_caches()
    forget()
    yield
    forget()


def test_entry_points_are_sorted_by_name():
    names = list(installed(DRIVERS))
    assert names == sorted(names)
    assert {"FakeA", "FakeB"} <= set(names)


def test_entry_point_as_a_dotted_path():
    assert dotted(installed(CLIENTS)["Fake"]) == CLIENT


def test_group_that_nobody_uses_is_empty():
    assert installed("jumpstarter.nothing") == {}


@pytest.mark.parametrize(
    "patterns",
    [[OTHER], ["jumpstarter_driver_fake.*"], ["*"], ["no", "*.Other"], ["jumpstarter_driver_?*.*"]],
)
def test_allowed_by_a_pattern_on_the_whole_path(patterns: list[str]):
    assert import_class(OTHER, patterns, unsafe=False).__name__ == "Other"


@pytest.mark.parametrize(
    "patterns", [[], ["Other"], ["jumpstarter_driver_fake"], ["*.other"], ["JUMPSTARTER_*"], [""]]
)
def test_not_allowed(patterns: list[str]):
    with pytest.raises(MissingDriverError, match="is not allowed: add it to") as caught:
        import_class(OTHER, patterns, unsafe=False)
    assert caught.value.class_path == OTHER
    assert "jumpstarter_driver_fake.client" not in sys.modules


def test_unsafe_allows_everything():
    assert import_class(OTHER, [], unsafe=True).__name__ == "Other"


def test_what_an_installed_package_offers_as_a_client_is_allowed():
    assert import_class(CLIENT, [], unsafe=False).__name__ == "FakeClient"


def test_what_an_installed_package_offers_as_a_driver_is_not_allowed_as_a_client():
    with pytest.raises(MissingDriverError, match="not allowed"):
        import_class("jumpstarter_driver_fake.driver.Fake", [], unsafe=False)


@pytest.mark.parametrize(
    "class_path",
    [
        "jumpstarter_driver_absent.client.Client",
        "jumpstarter_driver_fake.absent.Client",
        "jumpstarter_driver_fake.client.absent.Client",
        "jumpstarter_driver_fake.client.Absent",
        "jumpstarter_driver_fake.client.FakeClient.Inner",
    ],
)
def test_not_installed(class_path: str):
    package = class_path.partition(".")[0].replace("_", "-")
    with pytest.raises(
        MissingDriverError, match=f"^{class_path} is not installed here: .* pip install {package}$"
    ) as caught:
        import_class(class_path, ["*"], unsafe=False)
    assert caught.value.class_path == class_path


@pytest.mark.parametrize("class_path", ["", "Client", ".Client", "fake.", "a..b", ".a.b", "a b.C"])
def test_what_is_no_class_path(class_path: str):
    with pytest.raises(ImportError, match="is not a class path; write it as"):
        import_class(class_path, ["*"], unsafe=True)


@pytest.mark.parametrize(
    ("module", "error"),
    [
        ("lacks_dependency", ModuleNotFoundError),
        ("lacks_attribute", AttributeError),
        ("raises", OSError),
        ("wrong", SyntaxError),
    ],
)
def test_module_that_cannot_be_loaded_says_why(module: str, error: type[Exception]):
    with pytest.raises(error):
        import_class(f"jumpstarter_driver_fake.{module}.Client", ["*"], unsafe=False)


def test_class_is_fetched_once():
    module, name = CLIENT.rsplit(".", 1)
    assert cached_import(module, name) is cached_import(module, name)


@pytest.mark.parametrize("name", ["FakeA", "jumpstarter_driver_fake.driver.Fake"])
def test_driver_by_short_name_and_by_path(name: str):
    assert driver_class(name).__name__ == "Fake"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Absent", r"^Driver 'Absent' is not installed. Installed short names: .*FakeA, FakeB"),
        ("", r"^Driver '' is not installed"),
        ("FakeB", r"^Driver 'FakeB' is not installed. .*pip install jumpstarter-driver-fake$"),
        ("a.b.C", r"^Driver 'a.b.C' is not installed. .*or install the package that provides a$"),
        (
            "jumpstarter_driver_fake.driver.Absent",
            r"is not installed. .*pip install jumpstarter-driver-fake$",
        ),
        (".Fake", r"^Driver '.Fake' cannot be loaded: ImportError: '.Fake' is not a class path"),
        (
            "jumpstarter_driver_fake.lacks_dependency.Fake",
            r"Fake' cannot be loaded: ModuleNotFoundError: No module named 'jumpstarter_absent",
        ),
        (
            "jumpstarter_driver_fake.raises.Fake",
            r"Fake' cannot be loaded: OSError: no libfake.so$",
        ),
        (
            "jumpstarter_driver_fake.wrong.Fake",
            r"Fake' cannot be loaded: SyntaxError: invalid syntax",
        ),
    ],
)
def test_driver_that_cannot_be_had_is_one_line(name: str, message: str):
    with pytest.raises(ConfigurationError) as caught:
        driver_class(name)
    assert re.search(message, caught.value.message)
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("class_path", "hint"),
    [
        ("jumpstarter_driver_http_power.client.X", "pip install jumpstarter-driver-http-power"),
        ("acme.client.X", "install the package that provides acme"),
        ("jumpstarter.client.X", "install the package that provides jumpstarter"),
    ],
)
def test_hint(class_path: str, hint: str):
    assert install_hint(class_path).endswith(hint)
