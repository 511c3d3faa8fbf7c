"""`jmp admin`, against a real lab. The names of some tests hold the scenario's identifier."""

import base64
import json
from io import StringIO
from pathlib import Path

import pytest
import yaml
from jumpstarter.config.admin import AdminConfig
from jumpstarter.config.client import ClientConfigV1Alpha1, UserConfigV1Alpha1
from jumpstarter.config.exporter import ExporterConfigV1Alpha1

from jumpstarter_cli.jmp_admin import jmp_admin
from jumpstarter_cli.lab_desk_test import Done, LabDesk

CREATE_CLIENT = ("admin", "create", "client", "--nointeractive")
CREATE_EXPORTER = ("admin", "create", "exporter", "--nointeractive", "-l", "board=x")


@pytest.fixture
def desk(lab_desk: LabDesk, monkeypatch: pytest.MonkeyPatch) -> LabDesk:
    monkeypatch.setattr(AdminConfig, "DEFAULT_PATH", lab_desk.lab.admin_file)
    return lab_desk


def ok(done: Done) -> str:
    assert (done.code, done.err) == (0, "")
    return done.out


def content(path: str | Path) -> dict[str, object]:
    return yaml.safe_load(Path(path).read_text(encoding="utf-8"))


def test_core_02_clients_are_created(desk: LabDesk):
    account = "dex:system:serviceaccount:default:test-client-sa"
    ok(desk.jmp(*CREATE_CLIENT, "test-client-oidc", "--oidc-username", "dex:test-client-oidc"))
    ok(desk.jmp(*CREATE_CLIENT, "test-client-sa", "--oidc-username", account))
    made = ok(desk.jmp(*CREATE_CLIENT, "test-client-legacy", "--unsafe", "--save"))
    assert made.splitlines() == [
        "client.jumpstarter.dev/test-client-legacy created",
        f"Client configuration saved to {desk.clients / 'test-client-legacy.yaml'}",
    ]
    assert ok(desk.jmp("config", "client", "list", "-o", "name")) == "test-client-legacy\n"
    assert UserConfigV1Alpha1.load().config.current_client is not None
    names = ok(desk.jmp("admin", "get", "clients", "-o", "name")).splitlines()
    assert names == [
        f"client.jumpstarter.dev/test-client-{kind}" for kind in ("legacy", "oidc", "sa")
    ]
    found = json.loads(ok(desk.jmp("admin", "get", "client", "test-client-sa", "-o", "json")))
    assert found["spec"]["username"] == account
    ok(desk.jmp("get", "exporters", "--client", "test-client-legacy"))


def test_core_03_exporters_are_created(desk: LabDesk):
    out = desk.folder / "exporters" / "test-exporter-legacy.yaml"
    for kind in ("oidc", "sa"):
        username = ("--oidc-username", f"dex:test-exporter-{kind}")
        label = ("--label", f"example.com/board={kind}")
        name = f"test-exporter-{kind}"
        ok(desk.jmp("admin", "create", "exporter", "--nointeractive", name, *username, *label))
    made = ("admin", "create", "exporter", "--nointeractive", "test-exporter-legacy")
    ok(desk.jmp(*made, "--out", str(out), "--label", "example.com/board=legacy"))
    assert out.stat().st_mode & 0o777 == 0o600
    (found,) = ExporterConfigV1Alpha1.list().items
    assert found.alias == "test-exporter-legacy"
    shown = ok(desk.jmp("admin", "get", "exporter", "-l", "example.com/board=sa", "-o", "name"))
    assert shown == "exporter.jumpstarter.dev/test-exporter-sa\n"


def test_the_file_of_a_client_has_only_keys_that_release_0_9_0_knows(desk: LabDesk):
    ok(desk.jmp(*CREATE_CLIENT, "ann", "--save", "-a", "mylab.*,other.*", "-k"))
    found = content(desk.clients / "ann.yaml")
    assert set(found) <= {
        *("apiVersion", "kind", "metadata", "endpoint", "tls", "token", "grpcOptions"),
        *("drivers", "shell"),
    }
    assert found["metadata"] == {"namespace": "default", "name": "ann"}
    assert found["drivers"] == {"allow": ["mylab.*", "other.*"], "unsafe": False}
    ca = base64.b64encode(desk.lab.ca.encode()).decode()
    assert found["tls"] == {"ca": ca, "insecure": True}


def test_core_10_a_token_is_rotated(desk: LabDesk):
    ok(desk.jmp(*CREATE_CLIENT, "test-client-legacy", "--save"))
    done = desk.jmp("admin", "rotate", "client", "test-client-legacy")
    assert done.code == 0
    assert "Token rotated" in done.out
    refused = desk.jmp("get", "exporters", "--client", "test-client-legacy")
    assert refused.code == 1
    ok(desk.jmp("admin", "import", "client", "test-client-legacy", "--force", "--nointeractive"))
    ok(desk.jmp("get", "exporters", "--client", "test-client-legacy"))


def test_core_11_to_14_tokens_in_files_are_rotated(desk: LabDesk):
    ok(desk.jmp(*CREATE_CLIENT, "test-client-legacy", "--save", "-a", "mylab.*"))
    tokens = [content(desk.clients / "test-client-legacy.yaml")["token"]]
    rotations = [
        ("admin", "rotate", "client", "test-client-legacy", "--save"),
        ("admin", "rotate", "client", "test-client-legacy", "--save"),
        ("auth", "rotate", "--client", "test-client-legacy"),
    ]
    told = ["updated with new token", "updated with new token", "rotated"]
    for words, text in zip(rotations, told, strict=True):
        done = desk.jmp(*words)
        assert done.code == 0
        assert text in done.out + done.err
        tokens.append(content(desk.clients / "test-client-legacy.yaml")["token"])
    assert len(set(tokens)) == len(tokens)
    status = desk.jmp("auth", "status", "--client", "test-client-legacy")
    assert "Valid" in status.out
    ok(desk.jmp("get", "exporters", "--client", "test-client-legacy"))
    drivers = content(desk.clients / "test-client-legacy.yaml")["drivers"]
    assert drivers == {"allow": ["mylab.*"], "unsafe": False}


def test_core_15_an_unknown_client_is_not_rotated(desk: LabDesk):
    done = desk.jmp("admin", "rotate", "client", "nobody", "--save")
    assert done.code == 1
    assert done.err.startswith("Error from server (NotFound): ")
    assert done.err.count("\n") == 1
    assert not (desk.clients / "nobody.yaml").exists()


def test_core_31_all_kinds_are_shown(desk: LabDesk):
    desk.client("ann")
    desk.use("ann")
    assert ok(desk.jmp("admin", "get", "lease")) == "No resources found in default namespace.\n"
    with desk.running("board", kind="x"):
        lease = desk.lease("-l", "kind=x")
        clients = ok(desk.jmp("admin", "get", "client")).splitlines()
        assert [line.split() for line in clients] == [
            ["NAME", "ENDPOINT"],
            ["ann", desk.lab.endpoint],
        ]
        exporters = ok(desk.jmp("admin", "get", "exporter")).splitlines()
        assert exporters[0].split() == ["NAME", "STATUS", "ENDPOINT", "DEVICES", "AGE"]
        assert exporters[1].split()[::2][:2] == ["board", desk.lab.endpoint]
        assert exporters[1].split()[3] == "2"
        devices = ok(desk.jmp("admin", "get", "exporters", "-d")).splitlines()
        assert devices[0].split() == ["NAME", "STATUS", "ENDPOINT", "AGE", "LABELS", "UUID"]
        assert ["jumpstarter.dev/name=lamp" in line for line in devices[1:]] == [False, True]
        (head, row) = ok(desk.jmp("admin", "get", "lease", lease)).splitlines()
        assert head.split() == [
            *("NAME", "CLIENT", "SELECTOR", "EXPORTER", "DURATION", "STATUS", "REASON"),
            *("BEGIN", "END", "AGE"),
        ]
        assert row.split()[:7] == [lease, "ann", "kind=x", "board", "0:30:00", "In-Use", "Ready"]
        data = yaml.safe_load(ok(desk.jmp("admin", "get", "leases", "-o", "yaml")))
        assert [item["name"] for item in data["items"]] == [lease]


def test_core_32_clients_are_deleted_with_their_files(desk: LabDesk):
    for name in ("test-client-oidc", "test-client-sa", "test-client-legacy"):
        ok(desk.jmp(*CREATE_CLIENT, name, "--save"))
    for name in ("test-client-oidc", "test-client-sa", "test-client-legacy"):
        done = desk.jmp("admin", "delete", "client", name, "--delete", "-o", "name")
        assert ok(done) == f"client.jumpstarter.dev/{name}\n"
        assert not ClientConfigV1Alpha1.exists(name)
    assert ok(desk.jmp("admin", "get", "clients", "-o", "name")) == ""
    assert UserConfigV1Alpha1.load().config.current_client is None


def test_core_33_exporters_are_deleted_with_their_files(desk: LabDesk):
    for name in ("test-exporter-oidc", "test-exporter-sa", "test-exporter-legacy"):
        ok(desk.jmp(*CREATE_EXPORTER, name, "--save"))
        ok(desk.jmp("admin", "delete", "exporter", name, "--delete"))
        assert not ExporterConfigV1Alpha1.user_config_exists(name)
    assert ok(desk.jmp("admin", "get", "exporters", "-o", "name")) == ""


def test_the_file_of_somebody_else_stays(desk: LabDesk):
    ok(desk.jmp(*CREATE_CLIENT, "ann"))
    config = desk.client("bob")
    config.alias = "ann"
    path = ClientConfigV1Alpha1.save(config)
    done = desk.jmp("admin", "delete", "client", "ann", "--delete")
    assert done.code == 0
    assert done.err == f"'{path}' is the file of another client: it stays\n"
    assert path.exists()
    ok(desk.jmp(*CREATE_CLIENT, "ann"))
    before = path.read_text(encoding="utf-8")
    rotated = desk.jmp("admin", "rotate", "client", "ann", "--save")
    assert rotated.code == 1
    assert "another client" in rotated.err
    assert path.read_text(encoding="utf-8") == before


@pytest.mark.parametrize("words", [("--save",), ("--out", "{folder}/clients/ann.yaml")])
def test_nothing_is_made_when_the_file_is_in_the_way(desk: LabDesk, words: tuple[str, ...]):
    path = desk.clients / "ann.yaml"
    path.parent.mkdir()
    path.write_text("mine", encoding="utf-8")
    done = desk.jmp(*CREATE_CLIENT, "ann", *(word.format(folder=desk.folder) for word in words))
    assert done.code == 1
    assert "exists" in done.err
    assert path.read_text(encoding="utf-8") == "mine"
    assert ok(desk.jmp("admin", "get", "clients", "-o", "name")) == ""


def test_import_writes_files_of_what_there_is(desk: LabDesk):
    ok(desk.jmp(*CREATE_CLIENT, "ann"))
    ok(desk.jmp(*CREATE_EXPORTER, "board"))
    words = ("--nointeractive", "-o", "path")
    path = ok(desk.jmp("admin", "i", "c", "ann", "--unsafe", *words)).strip()
    assert content(path)["drivers"] == {"allow": [], "unsafe": True}
    ok(desk.jmp("get", "exporters", "--client", "ann"))
    assert desk.jmp("admin", "import", "client", "ann", *words).code == 1
    out = desk.folder / "board.yaml"
    assert (
        ok(desk.jmp("admin", "import", "exporter", "board", "--out", str(out), *words))
        == f"{out}\n"
    )
    assert content(out)["metadata"] == {"namespace": "default", "name": "board"}
    unknown = desk.jmp("admin", "import", "exporter", *words)
    assert unknown.err.startswith("Error from server (NotFound): ")


def test_an_exporter_is_changed(desk: LabDesk):
    ok(desk.jmp(*CREATE_EXPORTER, "board", "-l", "site=a"))
    words = ("admin", "update", "exporter", "board")
    ok(desk.jmp(*words, "-l", "board=y", "--remove-label", "site", "--disable"))
    data = json.loads(ok(desk.jmp("admin", "get", "exporter", "board", "-o", "json")))
    assert data["metadata"]["labels"] == {"board": "y"}
    assert data["spec"]["enabled"] is False
    changed = yaml.safe_load(ok(desk.jmp(*words, "--enable", "-o", "yaml")))
    assert changed["spec"]["enabled"] is True
    assert changed["metadata"]["labels"] == {"board": "y"}
    assert desk.jmp(*words).code == 2


def test_the_labels_that_an_exporter_registered_stay(desk: LabDesk):
    with desk.running("board", kind="x"):
        before = desk.portal.call(desk.admin.get_exporter, "board").labels
        ok(desk.jmp("admin", "update", "exporter", "board", "-l", "kind=y"))
        assert desk.portal.call(desk.admin.get_exporter, "board").labels == before | {"kind": "y"}


def test_a_client_is_changed(desk: LabDesk):
    ok(desk.jmp(*CREATE_CLIENT, "ann", "-l", "team=a"))
    ok(desk.jmp("admin", "update", "client", "ann", "-l", "team=b"))
    assert ok(desk.jmp("admin", "get", "client", "-l", "team=b", "-o", "name")).endswith("/ann\n")
    assert desk.jmp("admin", "update", "client", "ann").code == 2


def test_anybodys_lease_is_released(desk: LabDesk):
    desk.client("ann")
    desk.use("ann")
    with desk.running("board", kind="x"):
        lease = desk.lease("-l", "kind=x")
        done = desk.jmp("admin", "release", "lease", lease)
        assert ok(done) == f"lease.jumpstarter.dev/{lease} released\n"
    assert ok(desk.jmp("admin", "get", "leases", "-o", "name")) == ""
    every = ok(desk.jmp("admin", "get", "leases", "--all", "-o", "name"))
    assert every == f"lease.jumpstarter.dev/{lease}\n"
    unknown = desk.jmp("admin", "release", "lease", "none")
    assert unknown.err.startswith("Error from server (NotFound): ")


def test_the_administrators_own_token_is_rotated(desk: LabDesk):
    before = AdminConfig.load().token
    assert "updated with new token" in ok(desk.jmp("admin", "rotate", "admin"))
    assert AdminConfig.load().token != before
    ok(desk.jmp("admin", "get", "clients"))


def test_questions_come_before_anything_is_made(desk: LabDesk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.stdin", StringIO())
    done = desk.jmp("admin", "create", "client", "ann")
    assert done.code == 1
    assert done.err.endswith("Error: aborted\n")
    assert ok(desk.jmp("admin", "get", "clients", "-o", "name")) == ""


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("get", "client", "--kubeconfig", "x"), 2, "not through Kubernetes"),
        (("get", "client", "--context", "x"), 2, "not through Kubernetes"),
        (("get", "client", "-n", "other"), 1, "acts in namespace 'default' only"),
        (("get", "client", "--admin-config", "nothing.yaml"), 1, "`jmp lab up` makes one"),
        (("get", "client", "-l", "a b"), 1, "Error from server (Invalid)"),
        (("get", "exporter", "a/b"), 1, "Error from server (Invalid)"),
        (("create", "exporter", "x", "--nointeractive"), 2, "--label KEY=VALUE"),
        (("create", "client", "x", "-l", "a", "--nointeractive"), 2, "'a' is no KEY=VALUE"),
        (("create", "client", "A B", "--nointeractive"), 1, "Error from server (Invalid)"),
        (("delete", "client", "nobody"), 1, "Error from server (NotFound)"),
        (("update", "exporter", "nobody", "--enable"), 1, "Error from server (NotFound)"),
        (("delete", "policy", "none"), 1, "Error from server (NotFound)"),
        (("get", "policy", "none"), 1, "Error from server (NotFound)"),
        (("get", "router", "none"), 1, "Error from server (NotFound)"),
    ],
)
def test_mistakes_are_told_in_one_line(desk: LabDesk, words: tuple[str, ...], code: int, text: str):
    done = desk.jmp("admin", *words)
    assert (done.code, done.out) == (code, "")
    assert done.err.startswith("Error")
    assert text in done.err
    assert done.err.count("\n") == 1


def test_the_variable_names_the_administrators_file(desk: LabDesk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(AdminConfig, "DEFAULT_PATH", desk.folder / "none.yaml")
    assert desk.jmp("admin", "get", "clients").code == 1
    env = {"JMP_ADMIN_CONFIG": str(desk.lab.admin_file)}
    assert desk.jmp("admin", "get", "clients", env=env).code == 0


def test_jmp_admin_is_a_program_of_its_own(desk: LabDesk, capfd: pytest.CaptureFixture[str]):
    for words, code, text in (
        (["get", "client"], 0, "No resources found in default namespace.\n"),
        (["get", "client", "nobody"], 1, "Error from server (NotFound): "),
        (["get", "nothing"], 2, "Try 'jmp-admin get --help'."),
    ):
        with pytest.raises(SystemExit) as ended:
            jmp_admin(words, prog_name="jmp-admin")
        out, err = capfd.readouterr()
        assert ended.value.code == code
        assert text in out + err
    assert desk.jmp("a", "g", "clients").code == 0
