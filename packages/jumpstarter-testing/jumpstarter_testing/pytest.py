"""The base class of tests that use a device."""

from collections.abc import Generator
from typing import ClassVar

import pytest
from jumpstarter.client import DriverClient
from jumpstarter.common.exceptions import EnvironmentVariableNotSetError
from jumpstarter.utils.env import env

__all__ = ["JumpstarterTest"]

_OUTSIDE = "run pytest inside `jmp shell`, for instance `jmp shell --exporter NAME -- pytest`"


class JumpstarterTest:
    """Gives the tests of a class the client of the exporter that `jmp shell` connects to."""

    selector: ClassVar[str] = ""
    """Labels that the device must have; it chooses among those of a lab, where there is one."""

    @pytest.fixture(scope="class")
    @classmethod
    def client(cls) -> Generator[DriverClient]:
        """Yield the client of the exporter's root driver; one connection for the whole class."""
        try:
            with env() as client:
                yield client
        except EnvironmentVariableNotSetError as error:
            # Raised, not called: a failure of the fixture shows this line and no traceback.
            raise pytest.fail.Exception(f"{error.message}: {_OUTSIDE}", pytrace=False) from None
