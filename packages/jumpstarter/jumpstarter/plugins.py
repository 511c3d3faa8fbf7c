"""The only caller of `entry_points`: which drivers, clients, adapters and commands are installed.

Packages find each other through entry points. A name from a file of ours, or of an operator, may be
a short name or a dotted path; a dotted path sent by the far side is imported only when a package
installed here offers that class, or the allow-list admits it.
"""

import importlib
from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points  # noqa: TID251 - the one module that asks

from jumpstarter.model.errors import ConfigurationError, MissingDriverError

DRIVERS = "jumpstarter.drivers"
CLIENTS = "jumpstarter.clients"
ADAPTERS = "jumpstarter.adapters"
COMMANDS = "jumpstarter.commands"


@lru_cache
def installed(group: str) -> dict[str, EntryPoint]:
    """Return the entry points of `group` by name, sorted; read once per process."""
    found = entry_points(group=group)
    return {point.name: point for point in sorted(found, key=lambda point: point.name)}


def dotted(point: EntryPoint) -> str:
    """Return what an entry point refers to, as `package.module.Name`."""
    return f"{point.module}.{point.attr}"


@lru_cache
def cached_import(module: str, name: str) -> type:
    """Return attribute `name` of `module`.

    Raises ModuleNotFoundError or AttributeError, and whatever the module raises while it loads.
    """
    return getattr(importlib.import_module(module), name)


def split_class_path(class_path: str) -> tuple[str, str]:
    """Return module and name of a dotted path; raises ImportError for what is none."""
    module, _, name = class_path.rpartition(".")
    if not module or not all(map(str.isidentifier, class_path.split("."))):
        message = f"{class_path!r} is not a class path; write it as package.module.Class"
        raise ImportError(message)
    return module, name


def import_class(class_path: str, allow: Sequence[str], unsafe: bool) -> type:  # noqa: FBT001 - public API
    """Return the class at `class_path`, when it may be imported.

    It may when `unsafe` is true, when one of the shell patterns in `allow` matches the whole path,
    or when an installed package offers it under `jumpstarter.clients`. Raises MissingDriverError
    when it may not or is not installed, ImportError for what is no dotted path, and whatever its
    module raises while it loads.
    """
    module, name = split_class_path(class_path)
    if not (unsafe or any(fnmatchcase(class_path, pattern) for pattern in allow)) and not (
        _offered(class_path)
    ):
        message = (
            f"{class_path} is not allowed: add it to drivers.allow in the client configuration, "
            "or to JMP_DRIVERS_ALLOW"
        )
        raise MissingDriverError(message, class_path)
    message = f"{class_path} is not installed here: {install_hint(class_path)}"
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        if not _is_parent(error.name, module):
            raise
        raise MissingDriverError(message, class_path) from None
    try:
        return cached_import(module, name)
    except AttributeError:
        raise MissingDriverError(message, class_path) from None


def driver_class(type_name: str) -> type:
    """Return the driver class for `type:` of an exporter file: a short name or a dotted path.

    Raises ConfigurationError when no installed package offers it, or its module cannot be loaded.
    """
    point = installed(DRIVERS).get(type_name)
    class_path = type_name if point is None else dotted(point)
    if "." not in class_path:
        known = ", ".join(installed(DRIVERS))
        message = f"Driver '{type_name}' is not installed. Installed short names: {known}"
        raise ConfigurationError(message)
    try:
        return import_class(class_path, [], unsafe=True)
    except MissingDriverError:
        message = (
            f"Driver '{type_name}' is not installed. Please check exporter configuration, "
            f"or {install_hint(class_path)}"
        )
        raise ConfigurationError(message) from None
    except Exception as error:  # a module of anybody's may raise anything
        what = next(iter(str(error).splitlines()), "")
        message = f"Driver '{type_name}' cannot be loaded: {type(error).__name__}: {what}"
        raise ConfigurationError(message) from error


def install_hint(class_path: str) -> str:
    """Return what to do so that `class_path` can be imported."""
    package = class_path.partition(".")[0]
    if package.startswith("jumpstarter_driver_"):
        return f"install it with: pip install {package.replace('_', '-')}"
    return f"install the package that provides {package}"


def _offered(class_path: str) -> bool:
    return any(dotted(point) == class_path for point in installed(CLIENTS).values())


def _is_parent(missing: str | None, module: str) -> bool:
    """Return whether the missing module is `module` or one of its packages, not a dependency."""
    return missing is not None and (module == missing or module.startswith(f"{missing}."))
