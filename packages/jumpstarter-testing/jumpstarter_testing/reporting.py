"""What the tests of a run are told about their devices, and what their reports tell.

Rule: a failed test shows what its devices said while it ran, and nothing of what they said before.
"""

from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final, Protocol, TypeVar, cast

import pytest
from jumpstarter.model.errors import JumpstarterException

from .devices import Devices
from .wishes import Wish, option_wish

T = TypeVar("T")

NAME: Final = "jumpstarter-devices"


class _Capture(Protocol):
    def global_and_fixture_disabled(self) -> AbstractContextManager[None]: ...


@dataclass(frozen=True, eq=False)
class DeviceReports:
    """The hooks of a run of which some tests use devices."""

    devices: Devices

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Begin the record of what the devices say; refuse a test whose device is lost."""
        for held in self.devices.used_by(item):
            held.forget()
            held.look()
            if held.lost is not None:
                raise pytest.fail.Exception(held.lost, pytrace=False)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Attach what the devices said, and why a device was lost."""
        used = self.devices.used_by(item)
        failed = call.excinfo is not None and not call.excinfo.errisinstance(pytest.skip.Exception)
        for held in used:
            if failed:
                held.ask()
                held.log.settle(monotonic)
            for name, text in held.said():
                item.add_report_section(call.when, name, text)
        report = yield
        if failed:
            _tell_lost(report, [held.lost for held in used if held.lost is not None])
        return report

    def pytest_unconfigure(self) -> None:
        """Forget the devices."""
        self.devices.close()


def _tell_lost(report: pytest.TestReport, lost: list[str]) -> None:
    """Let a lost device be the first thing that `report` says."""
    for line in lost:
        report.sections.insert(0, ("the device was lost", line))
        crash: Any = getattr(report.longrepr, "reprcrash", None)
        if crash is not None:
            crash.message = f"{line}: {crash.message}"


def device_reports(config: pytest.Config) -> DeviceReports:
    """Return the hooks of this run, registered when they are first asked for."""
    found = config.pluginmanager.get_plugin(NAME)
    if found is None:
        devices = Devices(
            options=checked_options(config),
            consoles=frozenset(_consoles(config)),
            tell=lambda text: _tell(config, text),
        )
        found = DeviceReports(devices)
        config.pluginmanager.register(found, NAME)
    return cast("DeviceReports", found)


def checked_options(config: pytest.Config) -> Wish:
    """Return what the options say; raises UsageError."""
    try:
        return option_wish(
            selector=config.getoption("jmp_selector", None),
            exporter=config.getoption("jmp_exporter", None),
            lease=config.getoption("jmp_lease", None),
            client=config.getoption("jmp_client", None),
            duration=config.getoption("jmp_duration", None),
            timeout=config.getoption("jmp_timeout", None),
        )
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None


def _consoles(config: pytest.Config) -> list[str]:
    # Without the plugin there is no such setting, but the base class works all the same.
    return config.getini("jmp_consoles") if hasattr(config.option, "jmp_selector") else []


def _tell(config: pytest.Config, text: str) -> None:
    """Write a line to the terminal at once, past what captures the output of tests."""
    terminal: Any = config.pluginmanager.get_plugin("terminalreporter")
    capture = cast("_Capture | None", config.pluginmanager.get_plugin("capturemanager"))
    if terminal is None:
        return
    with capture.global_and_fixture_disabled() if capture else nullcontext():
        terminal.ensure_newline()
        terminal.write_line(text)
        terminal.flush()


@contextmanager
def entered(context: AbstractContextManager[T]) -> Generator[T]:
    """Enter `context`; what it refuses fails the fixture with one line."""
    with ExitStack() as stack:
        try:
            value = stack.enter_context(context)
        except JumpstarterException as error:
            # Raised, not called: a failure of the fixture shows this line and no traceback.
            raise pytest.fail.Exception(error.message, pytrace=False) from None
        yield value


@contextmanager
def entered_lab(exporters: Mapping[str, object]) -> Generator[object]:
    """Run a lab with these exporters; raises as `entered`."""
    try:
        from .lab import serve_lab  # noqa: PLC0415 - an extra of this package
    except JumpstarterException as error:
        raise pytest.fail.Exception(error.message, pytrace=False) from None
    with entered(serve_lab(cast("Mapping[str, Any]", exporters))) as lab:
        yield lab
