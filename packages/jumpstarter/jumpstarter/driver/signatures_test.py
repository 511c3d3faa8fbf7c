"""Which arguments become ints, for every way to write that a parameter takes one."""

import functools
import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, Literal, NewType, Optional, Union

import pytest
from pydantic import validate_call

from jumpstarter.driver import Driver, export
from jumpstarter.driver.decorators import MARKER_DRIVERCALL, MARKER_STREAMCALL
from jumpstarter.driver.signatures import convert_arguments, exported
from jumpstarter.local import serve
from jumpstarter.model.errors import DriverInvalidArgument, MethodNotFoundError
