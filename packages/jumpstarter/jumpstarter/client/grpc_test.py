"""What a controller tells, as models and as tables."""

from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import grpc
import pytest
from jumpstarter_protocol import client_pb2
from rich.console import Console
from rich.table import Table

from jumpstarter.client import lab as calls
from jumpstarter.client.conftest import GRANTED, NAMESPACE, FakeLab, end, lasts, lease_message
from jumpstarter.client.grpc import (
    Exporter,
    ExporterList,
    Lease,
    LeaseList,
    WithOptions,
    code_of,
    details_of,
)
from jumpstarter.client.tables import span_text
from jumpstarter.model import errors
from jumpstarter.model.status import ExporterStatus

NOW = datetime(2026, 1, 1, 0, 10, tzinfo=UTC)


def exporter_message(name: str = "bench", **more: Any) -> client_pb2.Exporter:
    return client_pb2.Exporter(name=f"namespaces/{NAMESPACE}/exporters/{name}", **more)


def shown(table: Table) -> list[list[str]]:
    """Return the headings and the cells of a table."""
    console = Console(file=StringIO(), width=400)
    console.print(table)
    columns = [[str(cell) for cell in column.cells] for column in table.columns]
    return [
        [str(column.header) for column in table.columns],
        *map(list, zip(*columns, strict=True)),
    ]


def test_a_lease():
    message = lease_message("mine", GRANTED, tags={"t": "1"}, context={"c": "2"}, exporter_name="e")
    message.begin_time.FromDatetime(NOW)
    lasts(message, timedelta(minutes=1))
    lease = Lease.from_protobuf(message)
    assert (lease.namespace, lease.name, lease.client) == (NAMESPACE, "mine", "me")
    assert (lease.exporter, lease.exporter_name) == ("bench", "e")
    assert (lease.tags, lease.context) == ({"t": "1"}, {"c": "2"})
    assert (lease.duration, lease.effective_duration) == (
        timedelta(minutes=30),
        timedelta(minutes=1),
    )
    assert lease.begin_time == NOW
    assert lease.effective_end_time is None
    assert lease.times.expires() == NOW + timedelta(minutes=30)


def test_the_fields_of_a_lease_are_those_that_scripts_read():
    # The keys of release 0.9.0, in its order, and after them those that it does not have.
    message = lease_message("mine", GRANTED)
    message.conditions[0].lastTransitionTime.seconds = int(NOW.timestamp())
    dumped = Lease.from_protobuf(message).model_dump(mode="json")
    assert [key for key in dumped if key not in {"context", "waiting"}] == [
        "namespace",
        "name",
        "selector",
        "exporter_name",
        "tags",
        "duration",
        "effective_duration",
        "begin_time",
        "client",
        "exporter",
        "conditions",
        "effective_begin_time",
        "effective_end_time",
        "deprecated_labels",
    ]
    assert dumped["duration"] == 1800.0
    assert dumped["conditions"] == [
        {
            "type": "Ready",
            "status": "True",
            "reason": "Ready",
            "message": "",
            "lastTransitionTime": NOW.replace(microsecond=0).isoformat().replace("+00:00", "Z"),
        }
    ]


def test_a_lease_that_waits():
    place = client_pb2.Waiting(position=2, reason="NotAvailable", message="in use")
    place.ahead.add(
        name=f"namespaces/{NAMESPACE}/leases/other",
        client=f"namespaces/{NAMESPACE}/clients/you",
    )
    place.holders.add(
        name=f"namespaces/{NAMESPACE}/leases/held",
        client=f"namespaces/{NAMESPACE}/clients/you",
        exporter=f"namespaces/{NAMESPACE}/exporters/bench",
    ).until.FromDatetime(NOW)
    waiting = Lease.from_protobuf(lease_message("mine", waiting=place)).waiting
    assert waiting is not None
    assert (waiting.position, waiting.reason, waiting.message) == (2, "NotAvailable", "in use")
    assert [(item.name, item.client, item.exporter) for item in waiting.ahead] == [
        ("other", "you", None)
    ]
    assert [(item.name, item.exporter, item.until) for item in waiting.holders] == [
        ("held", "bench", NOW)
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "mine"),
        ("name", "namespaces/lab/exporters/mine"),
        ("name", "namespaces/lab/leases/a/b"),
        ("name", "namespaces//leases/mine"),
        ("client", ""),
        ("client", "namespaces/lab/leases/me"),
        ("exporter", "bench"),
    ],
)
def test_a_lease_with_a_name_that_is_none(field: str, value: str):
    message = lease_message("mine")
    setattr(message, field, value)
    with pytest.raises(ValueError, match="the controller sent") as caught:
        Lease.from_protobuf(message)
    assert isinstance(caught.value, errors.ConnectionError)


@pytest.mark.parametrize(
    ("conditions", "status"),
    [
        ((), "Unknown"),
        ((("Pending", "True", "Offline", ""),), "Offline"),
        ((("Pending", "True", "Offline", ""), GRANTED), "In-Use"),
        ((("Unsatisfiable", "True", "NoAccess", ""),), "NoAccess"),
    ],
)
def test_the_status_of_a_lease(conditions: tuple[tuple[str, str, str, str], ...], status: str):
    message = lease_message("mine", *conditions)
    assert Lease.from_protobuf(message).get_status() == status
    end(message)
    assert Lease.from_protobuf(message).get_status() == "Ended"


def test_an_exporter():
    message = exporter_message(labels={"a": "b"}, status=4, enabled=False, online=True)
    exporter = Exporter.from_protobuf(message)
    assert exporter.model_dump(mode="json") == {
        "namespace": NAMESPACE,
        "name": "bench",
        "labels": {"a": "b"},
        "online": True,
        "status": 4,
        "enabled": False,
        "lease": None,
        "deprecated_labels": {},
    }
    assert exporter.status is ExporterStatus.LEASE_READY


def test_an_exporter_of_which_little_is_told_is_enabled():
    exporter = Exporter.from_protobuf(exporter_message())
    assert (exporter.enabled, exporter.online, exporter.status) == (True, False, None)


def test_a_table_of_leases():
    granted, waiting, over = (
        lease_message("granted", GRANTED, tags={"b": "2", "a": "1"}),
        lease_message("waiting", ("Pending", "True", "Offline", "")),
        lease_message("over", GRANTED),
    )
    end(over)
    table, names = Table(), list[str]()
    Lease.rich_add_columns(table)
    found = LeaseList.from_protobuf(client_pb2.ListLeasesResponse(leases=[granted, waiting, over]))
    for lease in found.leases:
        lease.rich_add_rows(table, NOW)
    found.rich_add_names(names)
    assert names == ["granted", "waiting", "over"]
    until, ended = (
        time.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        for time in (NOW + timedelta(minutes=20), NOW - timedelta(minutes=10))
    )
    assert shown(table) == [
        ["NAME", "SELECTOR", "EXPIRES AT", "REMAINING", "CLIENT", "EXPORTER", "TAGS"],
        ["granted", "board=x", until, "20m", "me", "bench", "a=1,b=2"],
        ["waiting", "board=x", "", "", "me", "", ""],
        ["over", "board=x", ended, "expired", "me", "bench", ""],
    ]


def test_a_list_of_leases_as_a_table():
    table = Table()
    found = LeaseList(leases=[Lease.from_protobuf(lease_message("mine"))])
    found.rich_add_columns(table)
    found.rich_add_rows(table)
    assert shown(table)[1][0] == "mine"


def test_a_table_of_exporters():
    lease = Lease.from_protobuf(lease_message("mine", GRANTED))
    held = Exporter.from_protobuf(
        exporter_message(labels={"b": "2", "a": "1"}, status=4, online=True)
    ).model_copy(update={"lease": lease})
    off = Exporter.from_protobuf(exporter_message("off", enabled=False))
    some = ExporterList(exporters=[held, off])
    every = ExporterList(
        exporters=[held, off],
        include_online=True,
        include_leases=True,
        include_status=True,
        include_disabled=True,
    )
    tables, names = (Table(), Table()), (list[str](), list[str]())
    for found, table, into in zip((some, every), tables, names, strict=True):
        found.rich_add_columns(table)
        found.rich_add_rows(table)
        found.rich_add_names(into)
    assert shown(tables[0]) == [["NAME", "LABELS"], ["bench", "a=1,b=2"]]
    assert names == (["bench"], ["bench", "off"])
    until = (NOW + timedelta(minutes=20)).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    assert shown(tables[1]) == [
        [
            "NAME",
            "ENABLED",
            "ONLINE",
            "STATUS",
            "LABELS",
            "LEASED BY",
            "LEASE STATUS",
            "RELEASE TIME",
        ],
        ["bench", "yes", "yes", "LEASE_READY", "a=1,b=2", "me", "In-Use", until],
        ["off", "no", "no", "UNKNOWN", "", "", "Available", ""],
    ]
    assert "include_online" not in every.model_dump()


def test_one_exporter_as_a_table():
    exporter = Exporter.from_protobuf(exporter_message(online=True))
    table, names = Table(), list[str]()
    Exporter.rich_add_columns(table, WithOptions(show_online=True))
    exporter.rich_add_rows(table, WithOptions(show_online=True))
    exporter.rich_add_names(names)
    assert shown(table) == [["NAME", "ONLINE", "LABELS"], ["bench", "yes", ""]]
    assert names == ["bench"]


@pytest.mark.parametrize(
    ("filter_selector", "names"),
    [
        (None, ["all", "some", "tagged"]),
        # Equalities are the controller's to compare: it knows the tags too.
        ("anything=else", ["all", "some", "tagged"]),
        ("!old", ["some"]),
        ("a!=b", ["some"]),
        ("a notin (b)", ["some"]),
        ("k in (v,w)", ["tagged"]),
        ("k in (v)", []),
        ("e", ["tagged"]),
        ("!old,e", []),
    ],
)
def test_leases_by_selector(filter_selector: str | None, names: list[str]):
    selectors = {"all": "<none>", "some": "x=y,!old,a!=b", "tagged": "k in (w,v),e"}
    leases = [
        Lease.from_protobuf(lease_message(name, selector=selector))
        for name, selector in selectors.items()
    ]
    found = LeaseList(leases=leases).filter_by_selector(filter_selector)
    assert [lease.name for lease in found.leases] == names


def test_leases_by_client():
    other = lease_message("other", client=f"namespaces/{NAMESPACE}/clients/you")
    page = client_pb2.ListLeasesResponse(
        leases=[lease_message("mine"), other], next_page_token="next"
    )
    found = LeaseList.from_protobuf(page)
    assert found.next_page_token == "next"
    assert [lease.name for lease in found.filter_by_client("you").leases] == ["other"]
    assert found.model_dump()["leases"][0]["name"] == "mine"


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(days=1, hours=1, minutes=58, seconds=59), "1d 1h 58m"),
        (timedelta(hours=2), "2h"),
        (timedelta(days=1, minutes=3), "1d 3m"),
        (timedelta(seconds=60), "1m"),
        (timedelta(seconds=59), "59s"),
        (timedelta(seconds=0.9), "expired"),
        (timedelta(seconds=-5), "expired"),
    ],
)
def test_time_that_remains(span: timedelta, text: str):
    assert span_text(span) == text


async def test_the_status_behind_an_error(lab: FakeLab):
    lab.service.refuse("GetLease", (grpc.StatusCode.INTERNAL, "broken"))
    async with calls.open_service(lab.config) as service:
        with pytest.raises(errors.ConnectionError) as caught:
            await service.GetLease(name="x")
    assert code_of(caught.value) is grpc.StatusCode.INTERNAL
    assert details_of(caught.value) == "broken"
    told = errors.ConnectionError("cannot reach it")
    assert (code_of(told), details_of(told)) == (grpc.StatusCode.UNKNOWN, "cannot reach it")


async def test_watching_a_lease_of_an_old_controller(lab: FakeLab):
    lab.service.tells = False
    async with calls.open_service(lab.config) as service:
        states = service.WatchLease(name="x")
        with pytest.raises(errors.ConnectionError) as caught:
            await anext(states)
    assert code_of(caught.value) is grpc.StatusCode.UNIMPLEMENTED
