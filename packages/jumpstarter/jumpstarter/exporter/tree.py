"""From a configuration to a tree of drivers.

Whatever keeps a driver from being built ends as one ConfigurationError that names the entry.
"""

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

_COMPOSITE = "Composite"
_PROXY = "Proxy"


def instantiate(entry: ExporterConfigV1Alpha1DriverInstance, where: str = "export") -> Driver:
    """Build the driver of `entry` and those below it; `where` names the entry in errors.

    Children are built before their parent, in the order of the file. When one cannot be built,
    those that were are closed. Raises ConfigurationError.
    """
    match entry.root:
        case ExporterConfigV1Alpha1DriverInstanceBase() as driver:
            children = _children(driver.children, where)
            return _construct(
                driver.type,
                where,
                {
                    "description": driver.description,
                    "methods_description": driver.methods_description,
                    "children": children,
                    **driver.config,
                },
            )
        case ExporterConfigV1Alpha1DriverInstanceComposite() as group:
            children = _children(group.children, where)
            return _construct(
                _COMPOSITE, where, {"description": group.description, "children": children}
            )
        case proxy:
            return _construct(_PROXY, where, {"ref": proxy.ref})


def instantiate_root(config: ExporterConfigV1Alpha1) -> Driver:
    """Build the composite at the root of an exporter; raises ConfigurationError."""
    return _construct(
        _COMPOSITE,
        "export",
        {
            "labels": {NAME_LABEL: config.metadata.name},
            "description": config.description,
            "children": _children(config.export, "export"),
        },
    )


def _children(
    entries: dict[str, ExporterConfigV1Alpha1DriverInstance], where: str
) -> dict[str, Driver]:
    built: dict[str, Driver] = {}
    try:
        for name, entry in entries.items():
            built[name] = instantiate(entry, f"{where}.{name}")
    except ConfigurationError:
        for driver in built.values():
            driver.close()
        raise
    return built


def _construct(type_name: str, where: str, arguments: dict[str, object]) -> Driver:
    try:
        kind = driver_class(type_name)
    except ConfigurationError as error:
        message = f"{where}: {error.message}"
        raise ConfigurationError(message) from None
    if not issubclass(kind, Driver):
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
