"""What the exporter asks of a driver: its report, its tree, and to be reset and closed."""

from dataclasses import dataclass, field
from uuid import UUID

from jumpstarter.driver import Driver
from jumpstarter.driver.base import SUPPORTED_CONTENT_ENCODINGS
from jumpstarter.exporter import Session

NAME = "jumpstarter.dev/name"
CLIENT = "jumpstarter.dev/client"


@dataclass(kw_only=True)
class Recorder(Driver):
    """Writes down what it is told, in a list that a tree may share."""

    told: list[str] = field(default_factory=list[str])

    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"

    def close(self) -> None:
        super().close()
        self.told.append(f"close {self.name}")

    def reset(self) -> None:
        super().reset()
        self.told.append(f"reset {self.name}")


class Labelled(Recorder):
    """Adds labels of its own."""

    def extra_labels(self) -> dict[str, str]:
        return {"kind": "extra", CLIENT: "mine.Client"}


def tree(told: list[str]) -> Recorder:
    def named(name: str, **children: Driver) -> Recorder:
        return Recorder(labels={NAME: name}, told=told, children=dict(children))

    branch = named("branch", leaf=named("leaf"), twig=named("twig"))
    return named("root", branch=branch, other=named("other"))


def test_close_and_reset_go_through_the_tree_in_order():
    told: list[str] = []
    root = tree(told)
    root.reset()
    root.close()
    names = ["leaf", "twig", "branch", "other", "root"]
    assert told == [f"reset {name}" for name in names] + [f"close {name}" for name in names]


def test_a_session_resets_when_it_begins_and_closes_when_it_ends():
    told: list[str] = []
    with Session(root_device=tree(told)):
        assert [line.split()[0] for line in told] == ["reset"] * 5
        told.clear()
    assert [line.split()[0] for line in told] == ["close"] * 5


def test_enumeration_has_parents_before_children():
    root = tree([])
    branch, other = root.children["branch"], root.children["other"]
    assert root.enumerate() == [
        (root.uuid, None, None, root),
        (branch.uuid, root, "branch", branch),
        (branch.children["leaf"].uuid, branch, "leaf", branch.children["leaf"]),
        (branch.children["twig"].uuid, branch, "twig", branch.children["twig"]),
        (other.uuid, root, "other", other),
    ]


def test_enumeration_tells_every_driver_the_root():
    seen: list[Driver | None] = []

    class Asks(Recorder):
        def enumerate(
            self,
            *,
            root: Driver | None = None,
            parent: Driver | None = None,
            name: str | None = None,
        ) -> list[tuple[UUID, Driver | None, str | None, Driver]]:
            seen.append(root)
            return super().enumerate(root=root, parent=parent, name=name)

    root = Recorder(children={"a": Recorder(children={"b": Asks()})})
    root.enumerate()
    assert seen[0] is root


def test_report_of_a_root():
    driver = Recorder(description="what it is", methods_description={"on": "turns it on"})
    report = driver.report()
    assert report.uuid == str(driver.uuid)
    assert not report.HasField("parent_uuid")
    assert dict(report.labels) == {CLIENT: "jumpstarter.client.DriverClient"}
    assert report.description == "what it is"
    assert dict(report.methods_description) == {"on": "turns it on"}


def test_report_of_a_child():
    parent, driver = Recorder(), Recorder(labels={"a": "b"})
    report = driver.report(parent=parent, name="child")
    assert report.parent_uuid == str(parent.uuid)
    assert report.labels["a"] == "b"
    assert report.labels[NAME] == "child"
    assert not report.HasField("description")


def test_labels_of_the_class_win_and_the_client_is_the_real_one():
    report = Labelled(labels={"kind": "configured", "a": "b", NAME: "old"}).report(name="new")
    assert dict(report.labels) == {
        "kind": "extra",
        "a": "b",
        NAME: "new",
        CLIENT: "jumpstarter.client.DriverClient",
    }


def test_reporting_does_not_change_the_driver():
    driver = Recorder(labels={"a": "b"})
    driver.report(name="child")
    assert driver.labels == {"a": "b"}


def test_all_encodings_are_supported():
    assert sorted(SUPPORTED_CONTENT_ENCODINGS) == ["bz2", "gzip", "xz", "zstd"]
