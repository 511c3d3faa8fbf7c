"""From the name of a driver to its class, whatever its module does when it is loaded."""

import difflib
from dataclasses import dataclass

from jumpstarter.config.problems import printable, shown
from jumpstarter.driver import Driver
from jumpstarter.model.errors import ConfigurationError
from jumpstarter.plugins import DRIVERS, dotted, driver_class, install_hint, installed


@dataclass(frozen=True, kw_only=True)
class Unusable:
    """Why a name of a driver leads nowhere.

    Attributes:
        reason: continues the sentence that begins with the name, or with its place in a file.
        hint: what to do about it.
    """

    reason: str
    hint: str


def load_driver(name: str) -> type[Driver] | Unusable:
    """Return the class behind a short name or dotted path, or why there is none."""
    try:
        kind = driver_class(name)
    except ConfigurationError:
        return Unusable(reason="is not installed", hint=_meant(name))
    except Exception as error:  # noqa: BLE001 - the module of anybody's driver runs here
        text = printable(" ".join(f"{type(error).__name__}: {error}".split()))
        return Unusable(reason=f"cannot be loaded: {text}", hint="install what it needs")
    if not issubclass(kind, Driver):
        return Unusable(reason="is not a driver", hint="name a class that extends Driver")
    lacking = sorted(getattr(kind, "__abstractmethods__", ()))
    if lacking:
        return Unusable(
            reason=f"is not complete: it lacks {', '.join(lacking)}",
            hint="name a class that extends it",
        )
    return kind


def _meant(name: str) -> str:
    package, dot, _ = name.partition(".")
    points = installed(DRIVERS).values()
    paths = [dotted(point) for point in points if point.module.startswith(f"{package}.")]
    near = difflib.get_close_matches(name, paths if dot else installed(DRIVERS), n=1)
    if near:
        return f"did you mean {shown(near[0])}?"
    return install_hint(name) if "." in name else "`jmp driver list` shows those that are"
