"""The tree that a flat list of driver reports describes.

Parents come before their children. A uuid may occur again, because a proxy reports its target: a
child belongs to the latest report of its parent.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from jumpstarter_protocol import jumpstarter_pb2

from jumpstarter.model.metadata import NAME_LABEL


@dataclass(slots=True)
class Node:
    """One reported driver and those below it, by name."""

    report: jumpstarter_pb2.DriverInstanceReport
    children: dict[str, "Node"] = field(default_factory=dict[str, "Node"])


def report_tree(reports: Iterable[jumpstarter_pb2.DriverInstanceReport]) -> Node:
    """Return the root; raises ValueError when there is none or a parent is unknown."""
    root: Node | None = None
    latest: dict[str, Node] = {}
    for report in reports:
        node = Node(report)
        if not report.HasField("parent_uuid"):
            root = node if root is None else root
        elif (parent := latest.get(report.parent_uuid)) is None:
            message = f"the report of driver {report.uuid} names an unknown parent"
            raise ValueError(message)
        else:
            parent.children[report.labels.get(NAME_LABEL, report.uuid)] = node
        latest[report.uuid] = node
    if root is None:
        message = "the exporter reports no drivers"
        raise ValueError(message)
    return root
