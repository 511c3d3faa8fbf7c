"""The base class of tests that use a device."""

from collections.abc import Generator
from typing import ClassVar, cast

import pytest
from jumpstarter.client import DriverClient

from .reporting import device_reports, entered
from .wishes import class_wish

__all__ = ["JumpstarterTest"]


class JumpstarterTest:
    """Gives the tests of a class the client of a device.

    Inside `jmp shell` that is the shell's; elsewhere it is leased for the class, from the current
    client's lab or as the options `--jmp-...` say.
    """

    selector: ClassVar[str] = ""
    """Labels that a leased device must have, beside those that `--jmp-selector` says."""

    exporter_name: ClassVar[str | None] = None
    """The exporter whose device to lease; `--jmp-exporter` is stronger."""

    @pytest.fixture(scope="class")
    @classmethod
    def client(cls, request: pytest.FixtureRequest) -> Generator[DriverClient]:
        """Yield the client of the exporter's root driver; one connection for the whole class."""
        devices = device_reports(request.config).devices
        wish = class_wish(devices.options, cls.selector, cls.exporter_name)
        node = cast("pytest.Class", request.node)
        with entered(devices.use(wish, node, "client")) as client:
            yield client
