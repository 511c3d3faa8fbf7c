"""Reaches the work behind a command when the command is used, not when it is defined.

The one place where the program names code of its own in a text. So what a command passes on is
checked by a test that runs the command, not by the type checker.
"""

import importlib
from collections.abc import Callable
from typing import Any


def deferred(target: str) -> Callable[..., Any]:
    """Return the function at `target`, written `module:function` below `jumpstarter_cli`."""
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(f"jumpstarter_cli.{module}"), name)
