"""Reaches the work behind a command when the command is used, not when it is defined.

The one place where the program names code of its own in a text. So what a command passes on is
checked by a test that runs the command, not by the type checker.
"""

import importlib
from typing import Any


def deferred(target: str) -> Any:  # noqa: ANN401 - whatever stands there
    """Return what stands at `target`, written `module:name` below `jumpstarter_cli`."""
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(f"jumpstarter_cli.{module}"), name)
