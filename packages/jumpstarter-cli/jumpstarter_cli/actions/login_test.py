"""`jmp login` and `jmp auth`, with a real identity provider and with the tokens of a real lab."""

import logging
import socket
import stat
import threading
import time
import webbrowser
from collections.abc import Generator
from pathlib import Path
from urllib.request import urlopen

import anyio
import pytest
import yaml
from jumpstarter.config.client import ClientConfigV1Alpha1
from jumpstarter.config.tls import TLSConfigV1Alpha1

from jumpstarter_cli.actions.token_keeping import keep_token
from jumpstarter_cli.lab_desk_test import Done, LabDesk, point_at, quiet_logging, typed
from jumpstarter_cli.oidc.issuer_test import Issuer, running_issuer

QUIET = ("--nointeractive",)
PASSWORD = ("--username", "ann", "--password", "secret")
TRY = "Try 'jmp login --help'."
UNPROTECTED = (
    "everybody on the way could send you elsewhere; use https://, or -k to go on all the same"
)
NO_ADDRESS = "is no address of a web server; it begins with https://"
CA = "LS0tLS1CRUdJTg=="


@pytest.fixture
def issuer() -> Generator[Issuer]:
    with running_issuer() as issuer:
        provider = {"issuer": issuer.url, "clientId": "jumpstarter-cli"}
        issuer.site = {
            "grpcEndpoint": "lab:8082",
            "namespace": "site",
            "caBundle": CA,
            "oidc": [provider],
        }
        yield issuer


class Seat:
    """A user with files of its own, and no lab."""

    def __init__(
        self, folder: Path, capture: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.folder = folder
        self.capture = capture
        point_at(folder, monkeypatch)

    def jmp(self, *words: str) -> Done:
        return typed(self.capture, *words)

    def login(self, *words: str) -> dict[str, object]:
        """Log in, and return what the current client's file says."""
        done = self.jmp("login", *words)
        assert done.code == 0, done.err
        return self.read(Path(done.out.split()[-1]))

    def read(self, path: Path) -> dict[str, object]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        return yaml.safe_load(path.read_text())


@pytest.fixture
def seat(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Generator[Seat]:
    with quiet_logging():
        yield Seat(tmp_path, capfd, monkeypatch)


def test_password_with_all_that_the_lab_says_of_itself(seat: Seat, issuer: Issuer):
    file = seat.login(f"ann@{issuer.url}", "-k", *QUIET, *PASSWORD)
    assert file["metadata"] == {"namespace": "site", "name": "ann"}
    assert (file["endpoint"], file["tls"]) == ("lab:8082", {"ca": CA, "insecure": False})
    assert str(file["token"]).count(".") == 2
    assert file["refresh_token"] == "again"
    listed = seat.jmp("config", "client", "list").out.splitlines()
    assert listed[1].split()[:3] == ["*", "ann", "lab:8082"]


def test_options_in_place_of_what_the_lab_says(seat: Seat, issuer: Issuer):
    file = seat.login(
        "--client", "mine", "-e", "other:1", "--namespace", "n", "--name", "", "--issuer",
        issuer.url, "--no-offline-access", "-a", "a.*,b.*", *QUIET, *PASSWORD,
    )  # fmt: skip
    assert file["metadata"] == {"namespace": "n", "name": ""}
    assert (file["endpoint"], "refresh_token" in file) == ("other:1", False)
    assert file["drivers"] == {"allow": ["a.*", "b.*"], "unsafe": False}
    assert issuer.requests[0]["scope"] == "openid profile"


def test_token_of_another_issuer_is_exchanged(seat: Seat, issuer: Issuer):
    words = ("--connector-id", "kubernetes", "--token", issuer.token("sa"))
    seat.login(f"sa@{issuer.url}", "-k", *QUIET, *words)
    asked = issuer.requests[0]
    assert asked["grant_type"] == "urn:ietf:params:oauth:grant-type:token-exchange"
    assert asked["connector_id"] == "kubernetes"


@pytest.mark.parametrize("port", [None, "option", "variable"])
def test_browser(seat: Seat, issuer: Issuer, port: str | None, monkeypatch: pytest.MonkeyPatch):

    with socket.create_server(("127.0.0.1", 0)) as free:
        number = str(free.getsockname()[1])
    words = {"option": ("--callback-port", number)}.get(port or "", ())
    if port == "variable":
        monkeypatch.setenv("JMP_OIDC_CALLBACK_PORT", number)
    pages: list[bytes] = []

    def browse(url: str) -> None:
        def visit() -> None:
            with urlopen(url, timeout=20) as page:
                pages.append(page.read())

        threading.Thread(target=visit).start()

    monkeypatch.setattr(webbrowser, "open", browse)
    file = seat.login(f"ann@{issuer.url}", "-k", *QUIET, *words)
    assert file["refresh_token"] == "again"
    redirect = issuer.requests[0]["redirect_uri"]
    assert redirect == f"http://localhost:{number}/callback" or port is None


def test_browser_whose_user_is_refused(seat: Seat, issuer: Issuer, monkeypatch: pytest.MonkeyPatch):

    issuer.refuse = "access_denied"

    def browse(url: str) -> None:
        threading.Thread(target=lambda: urlopen(url, timeout=20).close()).start()

    monkeypatch.setattr(webbrowser, "open", browse)
    done = seat.jmp("login", f"ann@{issuer.url}", "-k", *QUIET)
    assert done.code == 1
    assert done.err.endswith("Error: the identity provider refused: not today\n")
    assert not (seat.folder / "clients").exists()


@pytest.mark.parametrize("how", ["option", "variable"])
def test_device(seat: Seat, issuer: Issuer, how: str, monkeypatch: pytest.MonkeyPatch):
    issuer.pending = 1  # one time too fast
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    if how == "variable":
        monkeypatch.setenv("JMP_OIDC_DEVICE_FLOW", "1")
    words = ("--device-flow",) if how == "option" else ()
    done = seat.jmp("login", f"ann@{issuer.url}", "-k", *QUIET, *words)
    assert done.code == 0, done.err
    assert waits == [0.01, 5.01]
    assert f"Open {issuer.url}/device and enter ABCD\n" in done.err


def test_exporter_logs_in_and_keeps_its_drivers(seat: Seat, issuer: Issuer):
    path = seat.folder / "e.yaml"
    words = ("login", issuer.url, "--exporter-config", str(path), "--name", "e", "-k", *QUIET)
    assert seat.jmp(*words, *PASSWORD).code == 0
    text = path.read_text().replace("export: {}", "export: {power: {type: MockPower}}")
    path.write_text(text)
    assert seat.jmp(*words, *PASSWORD).code == 0
    file = seat.read(path)
    assert file["kind"] == "ExporterConfig"
    assert file["metadata"] == {"namespace": "site", "name": "e"}
    assert "type: MockPower" in path.read_text()
    assert not (seat.folder / "config.yaml").exists()


def test_logging_in_again_keeps_what_the_file_says(seat: Seat, issuer: Issuer):
    before = seat.login(f"ann@{issuer.url}", "-k", "--unsafe", *QUIET, *PASSWORD)
    again = seat.login("--client", "ann", *QUIET, *PASSWORD)
    assert again["token"] != before["token"]
    assert {**again, "token": ""} == {**before, "token": ""}


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        (("ann@{url}", *PASSWORD), 2,
         f"'{{url}}' is not protected: {UNPROTECTED}. {TRY}"),
        (("@x",), 2, f"'@x' is no [CLIENT@]ENDPOINT. {TRY}"),
        (("x@",), 2, f"'x@' is no [CLIENT@]ENDPOINT. {TRY}"),
        (("ann@{url}/no", "-k"), 1, "{url}/no/v1/auth/config answered: 404 Not Found"),
        (("ann@{url}", "-k", "--username", "ann", "--password", "x"), 1,
         "{url}/token refused: invalid_grant"),
        (("ann@{url}", "-k", "--username", "ann"), 2,
         "--username needs --password. Try 'jmp login --help'."),
        (("ann@{url}", "-k", "--issuer", "ftp://x"), 1,
         f"'ftp://x/.well-known/openid-configuration' {NO_ADDRESS}"),
        (("ann@{url}", "-k", "--client-id", "x", *PASSWORD), 1,
         "{url}/token refused: invalid_client"),
        ((), 2,
         f"say where the lab is: [CLIENT@]ENDPOINT, or --endpoint HOST:PORT. {TRY}"),
        (("-e", "lab:1"), 2,
         f"no identity provider is known: give --issuer URL, or --token TOKEN. {TRY}"),
        (("ann@{url}", "--exporter", "e", "-k"), 2,
         "'ann@' names a client, and --exporter an exporter. Try 'jmp login --help'."),
        (("--client", "a", "--exporter", "e"), 2,
         "--client and --exporter exclude each other. Try 'jmp login --help'."),
        (("https://127.0.0.1:1",), 1,
         "https://127.0.0.1:1/v1/auth/config cannot be reached: Connection refused"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line_and_change_nothing(
    seat: Seat, issuer: Issuer, words: tuple[str, ...], code: int, line: str
):
    done = seat.jmp("login", *QUIET, *(word.format(url=issuer.url) for word in words))
    assert (done.code, done.out) == (code, "")
    assert done.err == f"Error: {line.format(url=issuer.url)}\n"
    assert list(seat.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("site", "line"),
    [
        ({}, "names no grpcEndpoint; is it the login service of a lab?"),
        ({"grpcEndpoint": 5}, "names no grpcEndpoint; is it the login service of a lab?"),
    ],
)
def test_login_service_that_makes_no_sense(
    seat: Seat, issuer: Issuer, site: dict[str, object], line: str
):
    issuer.site = site
    done = seat.jmp("login", f"ann@{issuer.url}", "-k", *QUIET)
    assert (done.code, done.err) == (1, f"Error: {issuer.url}/v1/auth/config {line}\n")


def test_status_and_refresh(seat: Seat, issuer: Issuer):
    issuer.lifetime = 7300
    before = seat.login(f"ann@{issuer.url}", "-k", *QUIET, *PASSWORD)
    short = seat.jmp("auth", "status")
    assert short.code == 0
    assert short.out.startswith("Status: Valid for 2h 1m\nExpires: 20")
    told = dict(line.split(": ", 1) for line in seat.jmp("auth", "status", "-v").out.splitlines())
    assert (told["Client"], told["Subject"], told["Issuer"]) == ("site/ann", "ann", issuer.url)
    assert told["Refresh token"] == "yes"
    assert str(before["token"]) not in str(told)
    assert seat.jmp("auth", "refresh").code == 0
    after = seat.read(seat.folder / "clients" / "ann.yaml")
    assert (after["token"] != before["token"], after["refresh_token"]) == (True, "again")


def test_status_of_a_token_that_has_run_out(seat: Seat, issuer: Issuer):
    issuer.lifetime = -60
    seat.login(f"ann@{issuer.url}", "-k", *QUIET, *PASSWORD)
    done = seat.jmp("auth", "status")
    assert done.code == 1
    assert done.out.startswith("Status: Expired 1m ago; log in again with `jmp login`\n")


def test_token_that_has_run_out_is_renewed_before_it_is_used(seat: Seat, issuer: Issuer):
    issuer.lifetime = -60
    seat.login(f"ann@{issuer.url}", "-e", "127.0.0.1:1", "-k", *QUIET, *PASSWORD)
    issuer.refuse = "invalid_grant"
    done = seat.jmp("get", "exporters")
    assert done.code == 1
    assert done.err == (
        "Error: the token of client 'ann' has expired, and could not be renewed: "
        f"{issuer.url}/token refused: invalid_grant: not today; "
        "log in again with `jmp login --client ann`\n"
    )


def test_token_of_a_lab_needs_no_provider(lab_desk: LabDesk):
    with lab_desk.running("desk"):
        token = lab_desk.portal.call(lab_desk.admin.create_client, "bob").token or ""
        done = lab_desk.jmp(
            "login", f"mine@http://{lab_desk.lab.login}", "-k", "--token", token, *QUIET
        )
        assert done.code == 0, done.err
        assert lab_desk.jmp("get", "exporters", "-o", "name").out == "desk\n"
    config = ClientConfigV1Alpha1.load("mine")
    assert (config.metadata.name, config.tls.insecure) == ("bob", False)

    rotated = lab_desk.jmp("auth", "rotate")
    assert rotated.code == 0
    assert rotated.out.startswith("Token rotated")
    assert ClientConfigV1Alpha1.load("mine").token not in (None, token)
    assert lab_desk.jmp("auth", "status").out.startswith("Status: Valid for 364d 23h")
    assert lab_desk.jmp("get", "exporters", "-o", "name").out == "desk\n"
    ClientConfigV1Alpha1.save(config)
    refused = lab_desk.jmp("get", "exporters")
    assert refused.code == 1
    assert refused.err.splitlines()[-1].startswith("Error: ")
    assert token not in refused.err


def test_token_is_renewed_while_a_shell_is_open(seat: Seat, issuer: Issuer):
    issuer.lifetime = 1000
    before = seat.login(f"ann@{issuer.url}", "-k", *QUIET, *PASSWORD)
    config = ClientConfigV1Alpha1.load("ann")
    config.tls = TLSConfigV1Alpha1(insecure=True)
    began, clock = time.time(), [0.0]

    async def sleep(seconds: float) -> None:
        clock[0] += seconds
        if config.token != before["token"]:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        anyio.run(keep_token, config, lambda: began + clock[0], sleep)
    assert 1000 - 121 <= clock[0] <= 1000
    assert seat.read(seat.folder / "clients" / "ann.yaml")["token"] == config.token


def test_token_that_cannot_be_renewed_is_warned_of_once(
    seat: Seat, issuer: Issuer, caplog: pytest.LogCaptureFixture
):
    issuer.lifetime = 1000
    seat.login(f"ann@{issuer.url}", "-k", "--no-offline-access", *QUIET, *PASSWORD)
    config = ClientConfigV1Alpha1.load("ann")
    logging.getLogger("jumpstarter_cli.actions.token_keeping").addHandler(caplog.handler)
    began, clock = time.time(), [0.0]

    async def sleep(seconds: float) -> None:
        clock[0] += seconds
        if clock[0] > 2000:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        anyio.run(keep_token, config, lambda: began + clock[0], sleep)
    (record,) = caplog.records
    assert record.getMessage().startswith(
        ("the token is good for 4m 59s only", "the token is good for 5m only")
    )
