"""The tree of reports: order, proxies, and reports that make no tree."""

import pytest
from jumpstarter_protocol import jumpstarter_pb2

from jumpstarter.model.report import Node, report_tree


def report(
    uuid: str, parent: str | None = None, name: str | None = None
) -> jumpstarter_pb2.DriverInstanceReport:
    labels = {} if name is None else {"jumpstarter.dev/name": name}
    return jumpstarter_pb2.DriverInstanceReport(uuid=uuid, parent_uuid=parent, labels=labels)


def shape(node: Node) -> dict[str, object]:
    return {node.report.uuid: {name: shape(child) for name, child in node.children.items()}}


def test_children_stand_under_their_names_in_order():
    reports = [report("r"), report("b", "r", "B"), report("c", "b", "C"), report("a", "r", "A")]
    root = report_tree(reports)
    assert shape(root) == {"r": {"B": {"b": {"C": {"c": {}}}}, "A": {"a": {}}}}
    assert list(root.children) == ["B", "A"]


def test_each_report_of_a_proxy_has_the_children_that_follow_it():
    # A proxy reports its target, and what is below the target, a second time.
    reports = [
        *(report("r"), report("t", "r", "target"), report("x", "t", "x")),
        *(report("t", "r", "proxy"), report("x", "t", "x")),
    ]
    target: dict[str, object] = {"t": {"x": {"x": {}}}}
    root = report_tree(reports)
    assert shape(root) == {"r": {"target": target, "proxy": target}}
    assert root.children["proxy"] is not root.children["target"]


def test_a_child_without_a_name_is_found_by_its_uuid():
    assert shape(report_tree([report("r"), report("c", "r")])) == {"r": {"c": {"c": {}}}}


def test_an_empty_parent_is_a_parent():
    with pytest.raises(ValueError, match="driver c names an unknown parent"):
        report_tree([report("r"), report("c", "")])


@pytest.mark.parametrize(
    ("reports", "words"),
    [
        ([], "reports no drivers"),
        ([report("c", "r", "c")], "driver c names an unknown parent"),
        ([report("r"), report("c", "x")], "driver c names an unknown parent"),
        ([report("r"), report("c", "d"), report("d", "r")], "driver c names an unknown parent"),
        ([report("r"), report("c", "c")], "driver c names an unknown parent"),
    ],
)
def test_what_is_no_tree_is_refused(
    reports: list[jumpstarter_pb2.DriverInstanceReport], words: str
):
    with pytest.raises(ValueError, match=words):
        report_tree(reports)


def test_the_first_report_without_a_parent_is_the_root():
    assert shape(report_tree([report("r"), report("s"), report("c", "s")])) == {"r": {}}
