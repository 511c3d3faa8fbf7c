"""Lets shells, commands and hooks find `j`, also when `jmp` was started by its path."""

import os
import shutil
import sys
from collections.abc import MutableMapping
from pathlib import Path


def put_j_on_path(environ: MutableMapping[str, str]) -> None:
    """Append the folder of our own programs to PATH when no `j` is found there."""
    path = environ.get("PATH", os.defpath)
    folder = Path(sys.executable).parent
    if shutil.which("j", path=path) is None and shutil.which("j", path=str(folder)):
        environ["PATH"] = f"{path}{os.pathsep}{folder}" if path else str(folder)
