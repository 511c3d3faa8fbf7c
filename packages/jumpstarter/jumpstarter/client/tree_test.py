"""From a report to clients: the tree, proxies, and stand-ins for classes that are not to be had."""

import logging
from collections.abc import Callable, Generator
from contextlib import ExitStack
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import pytest
from anyio.from_thread import BlockingPortal
from jumpstarter_protocol import jumpstarter_pb2

from jumpstarter.client import DriverClient
from jumpstarter.client.base import StubDriverClient
from jumpstarter.client.tree import Surroundings, build_client
from jumpstarter.driver import Driver, export
from jumpstarter.local import serve
from jumpstarter.model.errors import DriverError
from jumpstarter.rpc.portal import open_portal

NAME = "jumpstarter.dev/name"
CLIENT = "jumpstarter.dev/client"
BASE = "jumpstarter.client.DriverClient"
REFUSED = "jumpstarter.client.base.DriverClient"
ABSENT = "jumpstarter_driver_absent.client.AbsentClient"
Report = jumpstarter_pb2.DriverInstanceReport


@pytest.fixture(scope="module")
def portal() -> Generator[BlockingPortal]:
    with open_portal() as portal:
        yield portal


@dataclass
class Builder:
    """Builds clients in one place, from reports."""

    portal: BlockingPortal
    stack: ExitStack
    allow: list[str] = field(default_factory=lambda: [BASE])
    unsafe: bool = False

    def __call__(self, *reports: Report) -> DriverClient:
        around = Surroundings("stub", self.portal, self.stack, self.allow, self.unsafe)
        return build_client(jumpstarter_pb2.GetReportResponse(reports=reports), around)


@pytest.fixture
def build(portal: BlockingPortal) -> Generator[Builder]:
    with ExitStack() as stack:
        yield Builder(portal, stack)


def report(uuid: UUID, parent: UUID | None = None, name: str = "", client: str = BASE) -> Report:
    labels = {CLIENT: client} | ({NAME: name} if name else {})
    return Report(
        uuid=str(uuid), parent_uuid=None if parent is None else str(parent), labels=labels
    )


def test_what_a_client_is_told(build: Builder):
    uuid = uuid4()
    client = build(
        Report(
            uuid=str(uuid),
            labels={CLIENT: BASE, NAME: "root", "a": "b"},
            description="what it is",
            methods_description={"on": "turns it on"},
        )
    )
    assert type(client) is DriverClient
    assert (client.uuid, client.name) == (uuid, "root")
    assert client.labels == {CLIENT: BASE, NAME: "root", "a": "b"}
    assert (client.stub, client.portal) == ("stub", build.portal)
    assert (client.description, client.methods_description) == ("what it is", {"on": "turns it on"})


@pytest.mark.parametrize("description", [None, ""])
def test_empty_description_is_none(build: Builder, description: str | None):
    client = build(Report(uuid=str(uuid4()), labels={CLIENT: BASE}, description=description))
    assert client.description is None


def test_tree_of_the_report(build: Builder):
    root, branch, leaf, other = (uuid4() for _ in range(4))
    client = build(
        report(root),
        report(branch, root, "branch"),
        report(leaf, branch, "leaf"),
        report(other, root, "other"),
    )
    assert list(client.children) == ["branch", "other"]
    assert list(client.children["branch"].children) == ["leaf"]
    assert client.children["branch"].children["leaf"].uuid == leaf
    assert client.children["other"].children == {}


def test_each_place_of_a_driver_has_a_client_of_its_own(build: Builder):
    root, target, below = uuid4(), uuid4(), uuid4()
    client = build(
        report(root),
        report(target, root, "target"),
        report(below, target, "below"),
        report(target, root, "proxy"),
        report(below, target, "below"),
    )
    first, second = client.children["target"], client.children["proxy"]
    assert first is not second
    assert first.uuid == second.uuid == target
    assert (first.name, second.name) == ("target", "proxy")
    assert [list(place.children) for place in (first, second)] == [["below"], ["below"]]
    assert first.children["below"] is not second.children["below"]


def test_clients_have_stacks_of_their_own_which_close_with_the_whole(build: Builder):
    root, child = uuid4(), uuid4()
    client = build(report(root), report(child, root, "child"))
    closed: list[str] = []
    client.stack.callback(closed.append, "root")
    client.children["child"].stack.callback(closed.append, "child")
    client.close()
    assert closed == ["root"]
    build.stack.close()
    assert closed == ["root", "child"]


def test_no_drivers(build: Builder):
    with pytest.raises(ValueError, match="the exporter reports no drivers"):
        build()


def test_unknown_parent(build: Builder):
    with pytest.raises(ValueError, match="names an unknown parent"):
        build(report(uuid4()), report(uuid4(), uuid4(), "child"))


@pytest.mark.parametrize("client", ["", "DriverClient", ".x.Y"])
def test_class_path_that_is_none(build: Builder, client: str):
    with pytest.raises(ImportError, match="is not a class path"):
        build(report(uuid4(), client=client))


@pytest.mark.parametrize("client", ["os.getcwd", "os.PathLike", "jumpstarter.driver.Driver"])
def test_what_is_no_class_of_a_client_is_not_called(build: Builder, client: str):
    build.unsafe = True
    with pytest.raises(ImportError, match=f"^{client} is not the class of a driver client$"):
        build(report(uuid4(), client=client))


@pytest.fixture(params=[REFUSED, ABSENT, f"{BASE}Absent"])
def stub(build: Builder, request: pytest.FixtureRequest) -> DriverClient:
    build.allow = [BASE, "jumpstarter_driver_*", f"{BASE}Absent"]
    root = uuid4()
    return build(report(root), report(uuid4(), root, "stub", request.param)).children["stub"]


USES: dict[str, Callable[[DriverClient], object]] = {
    "call": lambda client: client.call("on"),
    "streamingcall": lambda client: client.streamingcall("on"),
    "stream": lambda client: client.stream(),
    "open_stream": lambda client: client.open_stream(),
    "log_stream": lambda client: client.log_stream(),
    "attribute": lambda client: getattr(client, "power"),  # noqa: B009 - it is not declared
    "hasattr": lambda client: hasattr(client, "cli"),
    "private": lambda client: getattr(client, "_fd"),  # noqa: B009 - it is not declared
}


@pytest.mark.parametrize("use", USES)
def test_any_use_of_a_stand_in_is_an_import_error(stub: DriverClient, use: str):
    with pytest.raises(ImportError, match=f"^{stub.labels[CLIENT]} is not "):
        USES[use](stub)


def test_stand_in_is_a_client_in_the_tree(stub: DriverClient):
    assert type(stub) is StubDriverClient
    assert (stub.name, stub.children, stub.description) == ("stub", {}, None)
    stub.close()
    assert stub.labels[CLIENT] in repr(stub)


@pytest.mark.parametrize(
    ("client", "what"),
    [
        (
            REFUSED,
            "is not allowed: add it to drivers.allow in the client configuration, or",
        ),
        (ABSENT, "is not installed here: install it with: pip install jumpstarter-driver-absent"),
        (f"{BASE}Absent", "is not installed here: install the package that provides jumpstarter"),
    ],
)
def test_stand_in_says_what_to_do(build: Builder, client: str, what: str):
    build.allow = ["jumpstarter_driver_*", f"{BASE}Absent"]
    with pytest.raises(ImportError, match=what):
        build(report(uuid4(), client=client)).call("on")


def test_missing_class_is_a_warning(build: Builder, caplog: pytest.LogCaptureFixture):
    build(report(uuid4(), client=ABSENT))
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.WARNING, f"Driver client '{ABSENT}' is not available.")
    ]


def test_warning_can_be_suppressed(
    build: Builder, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("_JMP_SUPPRESS_DRIVER_WARNINGS", "1")
    build(report(uuid4(), client=ABSENT))
    assert caplog.records == []


class Answers(Driver):
    """A driver whose client is there."""

    @classmethod
    def client(cls) -> str:
        return BASE

    @export
    def answer(self) -> int:
        return 42


class WithoutClient(Answers):
    """A driver whose client is not."""

    @classmethod
    def client(cls) -> str:
        return ABSENT


def test_the_rest_of_a_tree_works_beside_a_stand_in():
    with serve(Answers(children={"no": WithoutClient(children={"yes": Answers()})})) as client:
        stub = client.children["no"]
        assert client.call("answer") == stub.children["yes"].call("answer") == 42
        with pytest.raises(ImportError, match="pip install jumpstarter-driver-absent"):
            stub.call("answer")


def test_a_proxy_is_called_at_both_places():
    class Alias(Driver):
        """Reports another driver as itself."""

        def __post_init__(self) -> None:
            super().__post_init__()
            self.target = Answers()

        @classmethod
        def client(cls) -> str:
            return BASE

        def report(
            self, *, parent: Driver | None = None, name: str | None = None
        ) -> jumpstarter_pb2.DriverInstanceReport:
            return self.target.report(parent=parent, name=name)

        def enumerate(
            self,
            *,
            root: Driver | None = None,
            parent: Driver | None = None,
            name: str | None = None,
        ) -> list[tuple[UUID, Driver | None, str | None, Driver]]:
            return self.target.enumerate(root=root, parent=parent, name=name)

    alias = Alias()
    with serve(Answers(children={"target": alias.target, "alias": alias})) as client:
        for name in ("target", "alias"):
            assert client.children[name].uuid == alias.target.uuid
            assert client.children[name].call("answer") == 42
        with pytest.raises(DriverError):
            client.children["alias"].call("absent")
