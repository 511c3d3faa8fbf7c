"""From entries of a file to drivers: what is built, and what is left when something cannot be."""

import pytest
from pydantic.dataclasses import dataclass

from jumpstarter.config.exporter import ExporterConfigV1Alpha1DriverInstance
from jumpstarter.driver import Driver
from jumpstarter.exporter.conftest import Probe
from jumpstarter.exporter.tree import instantiate
from jumpstarter.model.errors import ConfigurationError

HERE = __name__
PROBE = f"{Probe.__module__}.{Probe.__qualname__}"
built: list[Driver] = []


class Remembered(Probe):
    """Tells the test of itself."""

    def __post_init__(self) -> None:
        super().__post_init__()
        built.append(self)


class Raising(Probe):
    """Cannot be built."""

    def __post_init__(self) -> None:
        raise PermissionError(13, "no access to /dev/ttyUSB0\nat all")


class Exiting(Probe):
    """Fails without a word."""

    def __post_init__(self) -> None:
        raise RuntimeError


class Stuck(Remembered):
    """Cannot be closed."""

    def close(self) -> None:
        super().close()
        raise RuntimeError("stuck")


@dataclass(kw_only=True)
class Strict(Probe):
    """Wants a number."""

    port: int


class NoDriver:
    """Is something else."""


@pytest.fixture(autouse=True)
def forget() -> None:
    built.clear()


def entry(text: str) -> ExporterConfigV1Alpha1DriverInstance:
    return ExporterConfigV1Alpha1DriverInstance.from_str(text)


def test_a_driver_with_all_that_an_entry_may_say():
    driver = instantiate(
        entry(f"""
        type: {PROBE}
        description: the lamp
        methods_description: {{"on": light it}}
        config: {{target: [localhost, 7], labels: {{rack: "7"}}}}
        children:
          b: {{type: {PROBE}}}
          a: {{type: {PROBE}, children: {{inner: {{type: {PROBE}}}}}}}
        """)
    )
    assert isinstance(driver, Probe)
    assert (driver.description, driver.methods_description) == ("the lamp", {"on": "light it"})
    assert (driver.target, driver.labels) == (("localhost", 7), {"rack": "7"})
    assert list(driver.children) == ["b", "a"]
    assert list(driver.children["a"].children) == ["inner"]


def test_children_are_built_before_their_parent_in_the_order_of_the_file():
    kind = f"{HERE}.Remembered"
    root = instantiate(
        entry(f"""
        type: {kind}
        children:
          b: {{type: {kind}, children: {{inner: {{type: {kind}}}}}}}
          a: {{type: {kind}}}
        """)
    )
    b, a = root.children["b"], root.children["a"]
    assert built == [b.children["inner"], b, a, root]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("Raising", "PermissionError: [Errno 13] no access to /dev/ttyUSB0"),
        ("Exiting", "RuntimeError"),
        ("Strict", "port: Field required"),
    ],
)
def test_a_constructor_that_raises_is_one_line(kind: str, message: str):
    with pytest.raises(ConfigurationError) as caught:
        instantiate(entry(f"type: {HERE}.{kind}"), "export.lamp")
    assert caught.value.message == f"export.lamp: {HERE}.{kind} cannot be built: {message}"


def test_a_value_of_the_wrong_type_is_named():
    with pytest.raises(ConfigurationError) as caught:
        instantiate(entry(f"{{type: {HERE}.Strict, config: {{port: seven}}}}"), "export.lamp")
    assert "cannot be built: port: Input should be a valid integer" in caught.value.message


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("NoSuchShortName", "Driver 'NoSuchShortName' is not installed. Installed short names: "),
        ("no_such.module.Driver", "Driver 'no_such.module.Driver' is not installed. Please check"),
        (f"{HERE}.Absent", f"Driver '{HERE}.Absent' is not installed"),
        (f"{HERE}.NoDriver", f"{HERE}.NoDriver is not a driver; name a class that extends Driver"),
        (f"{HERE}.HERE", f"{HERE}.HERE is not a driver; name a class that extends Driver"),
    ],
)
def test_a_type_that_is_no_driver_is_refused(kind: str, words: str):
    with pytest.raises(ConfigurationError) as caught:
        instantiate(entry(f"type: {kind}"), "export.lamp")
    assert caught.value.message.startswith("export.lamp: ")
    assert words in caught.value.message
    assert "\n" not in caught.value.message


TREES = {
    "a sibling": "{children: {good: GOOD, bad: BAD}, type: PROBE}",
    "the parent": "{children: {good: GOOD, other: GOOD}, type: RAISING}",
    "a cousin": "{children: {deep: {children: {good: GOOD}, type: PROBE}, bad: BAD}, type: PROBE}",
    "an uncle": "{children: {deep: {children: {good: GOOD, bad: BAD}, type: PROBE}}, type: PROBE}",
}


@pytest.mark.parametrize("tree", TREES.values(), ids=TREES)
@pytest.mark.parametrize("good", ["Remembered", "Stuck"])
def test_what_was_built_is_closed_when_something_cannot_be(
    tree: str, good: str, caplog: pytest.LogCaptureFixture
):
    text = (
        tree.replace("GOOD", f"{{type: {HERE}.{good}}}")
        .replace("BAD", f"{{type: {HERE}.Raising}}")
        .replace("RAISING", f"{HERE}.Raising")
        .replace("PROBE", PROBE)
    )
    with pytest.raises(ConfigurationError) as caught:
        instantiate(entry(text))
    assert caught.value.message.endswith("PermissionError: [Errno 13] no access to /dev/ttyUSB0")
    assert built
    for driver in built:
        assert isinstance(driver, Probe)
        assert driver.events == ["close"]
    assert ("RuntimeError: stuck" in caplog.text) is (good == "Stuck")
