"""The pytest plugin: options that choose a device, and the fixtures `device` and `lab`.

Rule: whoever does not use it pays nothing. Nothing of Jumpstarter is imported before an option is
given or a test asks for a fixture, and the hooks that look at each test are registered then.
"""

from collections.abc import Generator, Mapping
from typing import cast

import pytest

OPTIONS = ("selector", "exporter", "lease", "client", "duration", "timeout")
CONSOLES = ("console", "serial", "uart")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("jumpstarter", "jumpstarter: the device that tests run on")
    group.addoption(
        "--jmp-selector",
        dest="jmp_selector",
        action="append",
        metavar="SELECTOR",
        help="lease a device with these labels: k=v, k!=v, k in (a,b), k; may be repeated",
    )
    for option, dest, metavar, text in (
        ("exporter", "exporter", "NAME", "lease the device of this exporter"),
        ("lease", "lease", "NAME", "use a lease that there is already, and do not release it"),
        ("client", "client", "ALIAS|FILE", "lease as this client; else as the current one"),
        ("duration", "duration", "SPAN", "how long the lease lasts, as 90m; 30m by default"),
        ("acquisition-timeout", "timeout", "SPAN", "how long to wait for a device, as 10m"),
    ):
        group.addoption(f"--jmp-{option}", dest=f"jmp_{dest}", metavar=metavar, help=text)
    parser.addini(
        "jmp_consoles",
        "names of the drivers whose output is shown with a failed test",
        type="args",
        default=list(CONSOLES),
    )


def pytest_configure(config: pytest.Config) -> None:
    """Refuse options that make no sense, before any test runs."""
    if any(config.getoption(f"jmp_{name}") is not None for name in OPTIONS):
        from .reporting import checked_options  # noqa: PLC0415 - see the rule of this module

        checked_options(config)


@pytest.fixture(scope="session")
def device(request: pytest.FixtureRequest) -> Generator[object]:
    """The client of a device's root driver: that of the shell, else one leased for this run."""
    from .reporting import device_reports, entered  # noqa: PLC0415 - see the rule of this module

    devices = device_reports(request.config).devices
    node = cast("pytest.Session", request.node)
    with entered(devices.use(devices.options, node, "device")) as client:
        yield client


@pytest.fixture(scope="session")
def lab_exporters() -> Mapping[str, object]:
    """The exporters of `lab`, by name; override it where `lab` is used."""
    message = 'override the fixture lab_exporters: return {"board": MyDriver}, for example'
    raise pytest.fail.Exception(message, pytrace=False)


@pytest.fixture(scope="module")
def lab(request: pytest.FixtureRequest) -> Generator[object]:
    """A lab of its own for the tests of a module: controller, router, exporters and a client."""
    exporters: Mapping[str, object] = request.getfixturevalue("lab_exporters")
    from .reporting import entered_lab  # noqa: PLC0415 - see the rule of this module

    with entered_lab(exporters) as served:
        yield served
