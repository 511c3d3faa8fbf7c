"""From a configuration to a tree of drivers.

Whatever keeps a driver from being built ends as one ConfigurationError that names the entry.
"""

from contextlib import ExitStack

from pydantic import ValidationError

from jumpstarter.config.entries import (
    ExporterConfigV1Alpha1DriverInstance,
    ExporterConfigV1Alpha1DriverInstanceBase,
    ExporterConfigV1Alpha1DriverInstanceComposite,
)
from jumpstarter.config.exporter import ExporterConfigV1Alpha1
from jumpstarter.driver.base import Driver
from jumpstarter.model.errors import ConfigurationError
from jumpstarter.model.metadata import NAME_LABEL
from jumpstarter.plugins import driver_class

from .closing import close_drivers

_COMPOSITE = "Composite"
_PROXY = "Proxy"


def instantiate(entry: ExporterConfigV1Alpha1DriverInstance, where: str = "export") -> Driver:
    """Build the driver of `entry` and those below it; `where` names the entry in errors.

    Children are built before their parent, in the order of the file. When one cannot be built,
    those that were are closed. Raises ConfigurationError.
    """
    with ExitStack() as undo:
        match entry.root:
            case ExporterConfigV1Alpha1DriverInstanceBase() as driver:
                arguments: dict[str, object] = {
                    "description": driver.description,
                    "methods_description": driver.methods_description,
                    "children": _children(driver.children, where, undo),
                    **driver.config,
                }
                built = _construct(driver.type, where, arguments)
            case ExporterConfigV1Alpha1DriverInstanceComposite() as group:
                children = _children(group.children, where, undo)
                arguments = {"description": group.description, "children": children}
                built = _construct(_COMPOSITE, where, arguments)
            case proxy:
                built = _construct(_PROXY, where, {"ref": proxy.ref})
        undo.pop_all()
    return built


def instantiate_root(config: ExporterConfigV1Alpha1) -> Driver:
    """Build the composite at the root of an exporter; raises ConfigurationError."""
    with ExitStack() as undo:
        arguments: dict[str, object] = {
            "labels": {NAME_LABEL: config.metadata.name},
            "description": config.description,
            "children": _children(config.export, "export", undo),
        }
        root = _construct(_COMPOSITE, "export", arguments)
        undo.pop_all()
    return root


def _children(
    entries: dict[str, ExporterConfigV1Alpha1DriverInstance], where: str, undo: ExitStack
) -> dict[str, Driver]:
    """Build the drivers of `entries`; `undo` will close them again."""
    built: dict[str, Driver] = {}
    for name, entry in entries.items():
        built[name] = instantiate(entry, f"{where}.{name}")
        undo.callback(close_drivers, built[name])
    return built


def _construct(type_name: str, where: str, arguments: dict[str, object]) -> Driver:
    try:
        kind = driver_class(type_name)
    except ConfigurationError as error:
        message = f"{where}: {error.message}"
        raise ConfigurationError(message) from None
    if not (isinstance(kind, type) and issubclass(kind, Driver)):  # pyright: ignore[reportUnnecessaryIsInstance] - the path may name anything
        message = f"{where}: {type_name} is not a driver; name a class that extends Driver"
        raise ConfigurationError(message)
    try:
        return kind(**arguments)  # pyright: ignore[reportArgumentType] - the constructor checks them
    except Exception as error:  # a driver of anybody's may raise anything
        message = f"{where}: {type_name} cannot be built: {describe(error)}"
        raise ConfigurationError(message) from error


def describe(error: Exception) -> str:
    """Return an error of a constructor in one line."""
    if isinstance(error, ValidationError):
        return "; ".join(
            f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()
        )
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
