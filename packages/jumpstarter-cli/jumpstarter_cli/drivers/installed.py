"""Which drivers are installed, by their short names; none of them is loaded."""

from jumpstarter.plugins import DRIVERS, dotted, installed


def names() -> list[str]:
    """Return the short names, sorted."""
    return list(installed(DRIVERS))


def short_name(class_path: str) -> str:
    """Return the short name of the class, or its path where it has none."""
    found = [name for name, point in installed(DRIVERS).items() if dotted(point) == class_path]
    return found[0] if found else class_path


def package(name: str) -> str:
    """Return name and version of the distribution that a short name is from, or nothing."""
    point = installed(DRIVERS).get(name)
    if point is None or point.dist is None:
        return ""
    return f"{point.dist.name} {point.dist.version}"
