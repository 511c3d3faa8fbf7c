"""Names of resources on the wire: `namespaces/<namespace>/<kind>/<name>`. Pure."""

from typing import Final, NewType

from .statuses import BadForm

ROOT: Final = "namespaces"

Collection = NewType("Collection", str)

CLIENTS: Final = Collection("clients")
EXPORTERS: Final = Collection("exporters")
LEASES: Final = Collection("leases")
POLICIES: Final = Collection("policies")
ROUTERS: Final = Collection("routers")
ADMINS: Final = Collection("admins")

LONGEST_SHOWN: Final = 200


def path_of(namespace: str, collection: Collection, name: str) -> str:
    """Return the wire's name of an object."""
    return f"{ROOT}/{namespace}/{collection}/{name}"


def parse_path(path: str, *collections: Collection) -> tuple[str, Collection, str]:
    """Return the namespace, the collection, which is one of `collections`, and the bare name.

    Raises BadForm.
    """
    parts = path.split("/")
    if len(parts) == 4 and parts[0] == ROOT and parts[1] and parts[3]:  # noqa: PLR2004 - as the rule of this module says
        for collection in collections:
            if parts[2] == collection:
                return parts[1], collection, parts[3]
    forms = " or ".join(f"{ROOT}/<namespace>/{item}/<name>" for item in collections)
    raise BadForm(f"name {path[:LONGEST_SHOWN]!r}: write it as {forms}")


def parse_parent(parent: str) -> str:
    """Return the namespace that `parent`, `namespaces/<namespace>`, names. Raises BadForm."""
    root, slash, namespace = parent.partition("/")
    if root != ROOT or not slash or not namespace or "/" in namespace:
        shown = parent[:LONGEST_SHOWN]
        raise BadForm(f"parent {shown!r}: write it as {ROOT}/<namespace>")
    return namespace
