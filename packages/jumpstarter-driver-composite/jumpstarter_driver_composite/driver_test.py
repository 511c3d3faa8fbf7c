"""Composites and proxies: the tree on the exporter, and what a client makes of it."""

import pytest
from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter.common.utils import serve
from jumpstarter.driver import Driver, export

from jumpstarter_driver_composite.client import CompositeClient
from jumpstarter_driver_composite.driver import Composite, Proxy


class Switch(Driver):
    """A leaf that remembers what happened to it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.events: list[str] = []

    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"

    @export
    def on(self) -> str:
        self.events.append("on")
        return self.labels.get("place", "")

    def close(self) -> None:
        self.events.append("close")

    def reset(self) -> None:
        self.events.append("reset")


class Cabinet(Composite):
    """A parent that uses its child itself."""

    @export
    def start(self) -> object:
        child = self.children["power"]
        on = getattr(child, "on")  # noqa: B009 - the child's class is the configuration's choice
        return on()


def _names(root: Driver) -> list[str | None]:
    return [name for _, _, name, _ in root.enumerate()]


def test_composite_enumerates_parents_first():
    inner = Composite(children={"b": Switch()})
    root = Composite(children={"a": inner, "c": Switch()})
    assert _names(root) == [None, "a", "b", "c"]
    parents = [parent for _, parent, _, _ in root.enumerate()]
    assert parents == [None, root, inner, root]


def test_composite_closes_and_resets_in_order():
    first, second = Switch(), Switch()
    root = Composite(children={"first": first, "second": second})
    root.reset()
    root.close()
    assert first.events == second.events == ["reset", "close"]


def test_composite_reports_its_client():
    report = Composite().report()
    assert report.labels["jumpstarter.dev/client"] == (
        "jumpstarter_driver_composite.client.CompositeClient"
    )
    assert Composite.driver_type == "composite"


def test_proxy_reports_the_target_under_its_own_name():
    target = Switch()
    root = Composite(children={"board": Composite(children={"power": target})})
    root.children["main"] = Proxy(ref="board.power")
    rows = {name: (uuid, parent, driver) for uuid, parent, name, driver in root.enumerate()}
    assert rows["main"] == (target.uuid, root, target)
    report = root.children["main"].report(parent=root, name="main")
    assert report.uuid == str(target.uuid)
    assert report.parent_uuid == str(root.uuid)
    assert report.labels["jumpstarter.dev/name"] == "main"


def test_proxy_brings_the_children_of_its_target():
    board = Composite(children={"power": Switch()})
    root = Composite(children={"board": board, "copy": Proxy(ref="board")})
    assert _names(root) == [None, "board", "power", "copy", "power"]


def test_proxy_may_come_before_its_target():
    root = Composite(children={"main": Proxy(ref="power"), "power": Switch()})
    assert _names(root) == [None, "main", "power"]


def test_proxy_of_a_proxy_and_through_a_proxy():
    power = Switch()
    root = Composite(
        children={
            "through": Proxy(ref="alias.power"),
            "again": Proxy(ref="through"),
            "alias": Proxy(ref="board"),
            "board": Composite(children={"power": power}),
        }
    )
    found = {name: driver for _, _, name, driver in root.enumerate()}
    assert found["through"] is power
    assert found["again"] is power


@pytest.mark.parametrize("ref", ["absent", "board.absent", "board.power.absent", "", "board."])
def test_proxy_to_nowhere_is_a_configuration_error(ref: str):
    board = Composite(children={"power": Switch()})
    root = Composite(children={"board": board, "main": Proxy(ref=ref)})
    with pytest.raises(ConfigurationError, match="there is no") as caught:
        root.enumerate()
    assert repr(ref) in caught.value.message


@pytest.mark.parametrize(
    "children",
    [
        {"a": Proxy(ref="a")},
        {"a": Proxy(ref="b"), "b": Proxy(ref="a")},
        {"a": Composite(children={"b": Proxy(ref="a")})},
        {
            "a": Composite(children={"to_b": Proxy(ref="b")}),
            "b": Composite(children={"to_a": Proxy(ref="a")}),
        },
    ],
)
def test_proxies_in_a_circle_are_a_configuration_error(children: dict[str, Driver]):
    with pytest.raises(ConfigurationError, match="leads back to itself"):
        Composite(children=children).enumerate()


def test_proxy_cannot_be_the_root():
    with pytest.raises(ConfigurationError, match="root"):
        Proxy(ref="a").enumerate()


def test_proxy_has_the_attributes_of_its_target():
    target = Switch(labels={"place": "rack"})
    proxy = Proxy(ref="power")
    Composite(children={"power": target, "main": proxy}).enumerate()
    assert getattr(proxy, "events") is target.events  # noqa: B009 - not an attribute of the class
    assert not hasattr(proxy, "absent")


def test_proxy_without_target_has_no_attributes():
    proxy = Proxy(ref="power")
    with pytest.raises(RuntimeError, match="no target"):
        getattr(proxy, "events")  # noqa: B009 - not an attribute of the class
    with pytest.raises(RuntimeError, match="no target"):
        proxy.report()


def test_proxy_closes_and_resets_its_target():
    target, proxy = Switch(), Proxy(ref="power")
    proxy.close()
    proxy.reset()
    assert target.events == []
    Composite(children={"power": target, "main": proxy}).enumerate()
    proxy.reset()
    proxy.close()
    assert target.events == ["reset", "close"]


def test_children_are_attributes_of_the_client():
    root = Composite(
        children={
            "board": Composite(children={"power": Switch(labels={"place": "board"})}),
            "power": Switch(labels={"place": "rack"}),
        }
    )
    with serve(root) as client:
        assert isinstance(client, CompositeClient)
        board = client.board
        assert isinstance(board, CompositeClient)
        assert board.power.call("on") == "board"
        assert client.power.call("on") == "rack"
        assert client.children["board"] is board


def test_client_of_a_proxy_uses_the_target():
    target = Switch(labels={"place": "here"})
    root = Composite(children={"power": target, "main": Proxy(ref="power")})
    with serve(root) as client:
        assert isinstance(client, CompositeClient)
        assert client.main.call("on") == "here"
        assert client.power.uuid == client.main.uuid
        assert client.power is not client.main
        assert client.main.name == "main"
    assert target.events.count("on") == 1


def test_server_side_parent_uses_a_proxy_as_the_target():
    cabinet = Cabinet(children={"power": Proxy(ref="supply")})
    root = Composite(children={"cabinet": cabinet, "supply": Switch(labels={"place": "here"})})
    with serve(root) as client:
        assert isinstance(client, CompositeClient)
        assert client.cabinet.call("start") == "here"


def test_unknown_attribute_names_the_children():
    with serve(Composite(children={"power": Switch()})) as client:
        with pytest.raises(AttributeError, match="'serial'; children: power"):
            getattr(client, "serial")  # noqa: B009 - the attribute is the case
        assert not hasattr(client, "serial")


def test_closing_the_client_closes_the_children():
    with serve(Composite(children={"power": Switch(), "fan": Switch()})) as client:
        assert isinstance(client, CompositeClient)
        closed: list[str] = []
        client.power.stack.callback(closed.append, "power")
        client.fan.stack.callback(closed.append, "fan")
        client.close()
        assert closed == ["power", "fan"]
        client.close()
        assert closed == ["power", "fan"]
