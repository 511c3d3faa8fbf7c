"""`jmp get`, `create`, `update`, `delete` and `why`, against a real lab."""

import json
from collections.abc import Generator

import pytest
import yaml
from jumpstarter.client.records import Lease

from jumpstarter_cli.actions import waiting
from jumpstarter_cli.lab_desk_test import LabDesk
from jumpstarter_cli.standing import place

LEASES = "NAME SELECTOR EXPIRES AT REMAINING CLIENT EXPORTER TAGS"


@pytest.fixture
def desk(lab_desk: LabDesk) -> Generator[LabDesk]:
    lab_desk.client("ann")
    lab_desk.use("ann")
    with lab_desk.running("desk", board="demo"):
        yield lab_desk


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_exporters(desk: LabDesk):
    desk.exporter("shelf")
    assert rows(desk.jmp("get", "exporters").out)[0] == ["NAME", "LABELS"]
    assert desk.jmp("get", "exporters", "-o", "name").out == "desk\nshelf\n"
    assert desk.jmp("get", "e", "-l", "board in (demo)", "-o", "name").out == "desk\n"
    assert desk.jmp("get", "exporters", "-l", "board=none").out == "No resources found.\n"
    assert desk.jmp("get", "exporters", "-l", "board=none", "-o", "name").out == ""
    data = json.loads(desk.jmp("get", "exporters", "--page-size", "1", "-o", "json").out)
    assert [item["name"] for item in data["exporters"]] == ["desk", "shelf"]
    table = desk.jmp("get", "exporters", "--with", "leases,online", "--with", "status").out
    assert table.splitlines()[0].split("  ")[0] == "NAME"
    head = "NAME ONLINE STATUS LABELS LEASED BY LEASE STATUS RELEASE TIME"
    assert " ".join(table.splitlines()[0].split()) == head
    assert rows(table)[1][:3] == ["desk", "yes", "AVAILABLE"]
    assert rows(table)[2][:3] == ["shelf", "no", "UNKNOWN"]


def test_a_lease_from_its_creation_to_its_end(desk: LabDesk):
    made = desk.jmp(
        "create", "lease", "-l", "board=demo", "--duration", "1h", "--tag", "team=a",
        "--context", "build=7", "-o", "yaml",
    )  # fmt: skip
    assert made.code == 0, made.err
    lease = yaml.safe_load(made.out)
    name = lease["name"]
    assert (lease["exporter"], lease["client"], lease["duration"]) == ("desk", "ann", 3600.0)
    assert (lease["tags"], lease["context"]) == ({"team": "a"}, {"build": "7"})

    table = desk.jmp("get", "leases").out
    assert " ".join(table.splitlines()[0].split()) == LEASES
    assert rows(table)[1][0] == name
    assert rows(table)[1][-3:] == ["ann", "desk", "team=a"]
    assert desk.jmp("get", "leases", "-l", "board=demo", "-o", "name").out == f"{name}\n"
    assert desk.jmp("get", "leases", "-l", "board=no").out == "No resources found.\n"
    assert desk.jmp("get", "leases", "--tag-filter", "team=a", "-o", "name").out == f"{name}\n"
    assert desk.jmp("get", "leases", "--tag-filter", "team=b", "-o", "name").out == ""
    assert json.loads(desk.jmp("get", "lease", name, "-o", "json").out)["name"] == name
    assert rows(desk.jmp("get", "exporters", "--with", "leases").out)[1][2:4] == ["ann", "In-Use"]

    updated = desk.jmp("update", "lease", name, "--duration", "2h", "-o", "json")
    assert json.loads(updated.out)["duration"] == 7200.0
    assert desk.jmp("why", name).out == f"lease {name} has exporter desk\n"

    assert desk.jmp("delete", "lease", name).out == f'lease "{name}" deleted\n'
    assert desk.jmp("get", "leases").out == "No resources found.\n"
    assert desk.jmp("why", name).out == "the lease was released\n"
    assert rows(desk.jmp("get", "leases", "--all").out)[1][0] == name


def test_leases_of_others_are_seen_when_that_is_wanted(desk: LabDesk):
    name = desk.lease("-l", "board=demo")
    desk.client("bob")
    assert desk.jmp("get", "leases", "--client", "bob").out == "No resources found.\n"
    assert desk.jmp("get", "leases", "--client", "bob", "-A", "-o", "name").out == f"{name}\n"
    refused = desk.jmp("delete", "leases", name, "--client", "bob")
    assert refused.code == 1
    assert refused.err.count("\n") == 1

    given = desk.jmp("update", "lease", name, "--to-client", "bob", "-o", "yaml")
    assert yaml.safe_load(given.out)["client"] == "bob"
    assert desk.jmp("delete", "leases", "--all", "--client", "bob", "-o", "name").out == f"{name}\n"


def test_all_own_leases_are_deleted_and_then_there_is_none(desk: LabDesk):
    names = {desk.lease("-l", "board=demo") for _ in range(3)}
    assert set(desk.jmp("get", "leases", "--page-size", "2", "-o", "name").out.split()) == names
    assert set(desk.jmp("delete", "leases", "-l", "board=demo", "-o", "name").out.split()) == names
    done = desk.jmp("delete", "leases", "--all")
    assert (done.code, done.err) == (
        1,
        "Error: no lease matches; `jmp get leases` shows those there are\n",
    )


def test_why_a_lease_waits(desk: LabDesk):
    first, second, third = (desk.lease("-l", "board=demo") for _ in range(3))
    lines = desk.jmp("why", third).out.splitlines()
    assert lines[0].startswith(f"lease {third} waits, number 2 in the queue: ")
    assert lines[1] == f"ahead: lease {second} of ann"
    assert lines[2].startswith(f"held by: lease {first} of ann on desk until 20")
    data = json.loads(desk.jmp("why", third, "-o", "json").out)
    assert data["waiting"]["position"] == 2
    assert data["waiting"]["reason"] == "NotAvailable"
    assert [item["name"] for item in data["waiting"]["ahead"]] == [second]


def test_create_waits_and_tells_what_for(desk: LabDesk, monkeypatch: pytest.MonkeyPatch):
    first = desk.lease("-l", "board=demo")

    def place_and_release(lease: Lease) -> str:
        desk.portal.call(desk.admin.release_lease, first)
        return place(lease)

    monkeypatch.setattr(waiting, "place", place_and_release)
    done = desk.jmp("create", "lease", "-l", "board=demo", "--duration", "5m", "--wait")
    assert done.code == 0
    waits, *_ = done.err.splitlines()
    assert "number 1 in the queue: " in waits
    assert f"held by lease {first} of ann on desk until" in waits
    assert rows(done.out)[1][-2:] == ["ann", "desk"]


def test_lease_that_can_never_be(desk: LabDesk):
    done = desk.jmp("create", "lease", "-n", "none", "--duration", "5m", "--wait")
    assert (done.code, done.out) == (1, "")
    assert done.err == "Error: the lease cannot be satisfied: there is no exporter none\n"


def test_a_lease_that_begins_later(desk: LabDesk):
    name = desk.lease("-l", "board=demo", "--begin-time", "2100-01-01T00:00Z")
    assert desk.jmp("why", name).out.startswith(f"lease {name} waits: it begins at ")
    moved = desk.jmp("update", "lease", name, "--begin-time", "2101-01-01T00:00Z", "-o", "json")
    assert json.loads(moved.out)["begin_time"] == "2101-01-01T00:00:00Z"


def test_the_environment_is_a_client(desk: LabDesk):
    config = desk.client("eve")
    desk.use(None)
    env = {
        "JMP_NAMESPACE": "default",
        "JMP_NAME": "eve",
        "JMP_ENDPOINT": desk.lab.endpoint,
        "JMP_TOKEN": config.token or "",
    }
    assert desk.jmp("get", "exporters").code == 1
    untrusted = desk.jmp("get", "exporters", env=env)
    assert (untrusted.code, untrusted.err.count("\n")) == (1, 1)
    env["JMP_GRPC_INSECURE"] = "1"
    assert desk.jmp("get", "exporters", "-o", "name", env=env).out == "desk\n"
