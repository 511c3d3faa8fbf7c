"""What users get for what they got wrong: exactly one line, and the exit code."""

from dataclasses import dataclass, field

import pytest

from .conftest import HEAD, LAMP, LAMPS, Desk

FILE = "exporter.yaml"
LOCAL = ("shell", "--exporter-config", FILE, "--", "true")
RUN = ("run", "--exporter-config", FILE)
LISTEN = (*RUN, "--tls-grpc-listener", "0")
TRY_RUN = "Try 'jmp run --help'."
TRY_SHELL = "Try 'jmp shell --help'."
NO_DEFAULT = (
    "and default config is not set; `jmp login` makes one, and "
    "`jmp config client use ALIAS` chooses one"
)


def lamp(keys: str) -> str:
    """Return a file with one driver, whose keys begin on line 4."""
    return f"{HEAD}export:\n  lamp:\n    {keys}\n"


@dataclass(frozen=True)
class Mistake:
    """What stands in the file, what is typed, what comes out; `CONFIG` stands for the folder."""

    case: str
    line: str
    text: str = LAMP
    typed: tuple[str, ...] = LOCAL
    code: int = 1
    env: dict[str, str] = field(default_factory=dict[str, str])


IN_THE_FILE = [
    Mistake(
        "key of an entry",
        f"{FILE}:5: export.lamp.confg is not a known key; did you mean 'config'?",
        lamp(f"type: {LAMPS}.Lamp\n    confg: {{}}"),
    ),
    Mistake(
        "key of the metadata",
        f"{FILE}:1: metadata.nam is not a known key; did you mean 'name'?",
        "metadata: {namespace: null, name: desk, nam: x}\n",
    ),
    Mistake(
        "key of a hook",
        f"{FILE}:2: hooks.beforeLease.skript is not a known key; did you mean 'script'?",
        f"{HEAD}hooks: {{beforeLease: {{script: x, skript: y}}}}\n",
    ),
    Mistake(
        "missing key",
        f"{FILE}:1: metadata is missing; add it, with the keys namespace and name",
        "export: {}\n",
    ),
    Mistake(
        "type of a key",
        f"{FILE}:2: export must be a mapping, not a list",
        f"{HEAD}export: [1]\n",
    ),
    Mistake(
        "type of a field of a driver",
        f"{FILE}:5: export.lamp.config.log_level must be a valid string, not 5",
        lamp(f"type: {LAMPS}.Lamp\n    config: {{log_level: 5}}"),
    ),
    Mistake(
        "short name of a driver",
        f"{FILE}:4: export.lamp.type 'Compsite' cannot be used: it is not installed; "
        "did you mean 'Composite'?",
        lamp("type: Compsite"),
    ),
    Mistake(
        "path of a driver",
        f"{FILE}:4: export.lamp.type 'jumpstarter_driver_no.driver.No' cannot be used: "
        "it is not installed; install it with: pip install jumpstarter-driver-no",
        lamp("type: jumpstarter_driver_no.driver.No"),
    ),
    Mistake(
        "class that is no driver",
        f"{FILE}:4: export.lamp.type '{LAMPS}.LampClient' cannot be used: it is not a driver; "
        "name a class that extends Driver",
        lamp(f"type: {LAMPS}.LampClient"),
    ),
    Mistake(
        "reference",
        f"{FILE}:4: export.lamp.ref points to 'lmap', but there is no 'lmap' in export; "
        "did you mean 'lamp'?",
        lamp("ref: lmap"),
    ),
    Mistake(
        "constructor that raises",
        f"export.lamp: {LAMPS}.Broken cannot be built: RuntimeError: no lamp on bus 3",
        lamp(f"type: {LAMPS}.Broken"),
    ),
    Mistake(
        "no YAML",
        f"{FILE}:1: not valid YAML: expected <block end>, but found ':'",
        ": :\n -",
    ),
    Mistake(
        "empty file",
        f"{FILE}:1: the document is empty; it must hold keys with their values",
        "",
    ),
]
WHICH_FILE = [
    Mistake(
        "missing file",
        "configuration file 'none.yaml' does not exist; check the path",
        typed=("shell", "--exporter-config", "none.yaml"),
    ),
    Mistake(
        "unreadable file",
        "'site' is a directory; give the path of a configuration file",
        typed=("shell", "--exporter-config", "site"),
    ),
    Mistake(
        "unknown exporter",
        "there is no exporter 'none': 'CONFIG/exporters/none.yaml' does not exist; "
        "`jmp config exporter list` shows those there are",
        typed=("shell", "--exporter", "none"),
    ),
    Mistake(
        "alias with a separator",
        "'a/b' is no exporter alias; use a name without path separators",
        typed=("shell", "--exporter", "a/b"),
    ),
    Mistake(
        "no exporter",
        "none of --client, --client-config, --exporter, --exporter-config, --tls-grpc is "
        f"specified, {NO_DEFAULT}. {TRY_SHELL}",
        typed=("shell",),
        code=2,
    ),
    Mistake(
        "two exporters",
        f"--exporter and --exporter-config exclude each other. {TRY_SHELL}",
        typed=("shell", "--exporter", "a", "--exporter-config", "b"),
        code=2,
    ),
    Mistake(
        "exporter and address",
        f"--exporter and --tls-grpc exclude each other. {TRY_SHELL}",
        typed=("shell", "--exporter", "a", "--tls-grpc", "b:1"),
        code=2,
    ),
]
OPTIONS = [
    Mistake(
        "unknown option",
        f"No such option '--zzz'. {TRY_SHELL}",
        typed=("shell", "--zzz", FILE),
        code=2,
    ),
    Mistake(
        "passphrase without address",
        f"--passphrase needs --tls-grpc. {TRY_SHELL}",
        typed=("shell", "--exporter-config", FILE, "--passphrase", "x"),
        code=2,
    ),
    Mistake(
        "address without port",
        f"--tls-grpc: 'board' is no HOST:PORT with a port from 1 to 65535. {TRY_SHELL}",
        typed=("shell", "--tls-grpc", "board"),
        code=2,
    ),
    Mistake(
        "passphrase of nothing",
        "the passphrase in JMP_GRPC_PASSPHRASE must be printable ASCII text "
        f"without blanks at its ends. {TRY_SHELL}",
        typed=("shell", "--tls-grpc", "board:1"),
        code=2,
        env={"JMP_GRPC_PASSPHRASE": " "},
    ),
    Mistake(
        "passphrase file that is not there",
        "none: No such file or directory",
        typed=("shell", "--tls-grpc", "board:1", "--passphrase-file", "none"),
    ),
    Mistake(
        "run without exporter",
        f"say which exporter: --exporter-config FILE or --exporter ALIAS. {TRY_RUN}",
        typed=("run", "--tls-grpc-listener", "0"),
        code=2,
    ),
    Mistake(
        "run without listener",
        "say where to listen: --tls-grpc-listener [HOST:]PORT; or give the exporter's file a "
        f"controller: endpoint and token. {TRY_RUN}",
        typed=RUN,
        code=2,
    ),
    Mistake(
        "protection without listener",
        f"--tls-grpc-insecure needs --tls-grpc-listener. {TRY_RUN}",
        typed=(*RUN, "--tls-grpc-insecure"),
        code=2,
    ),
    Mistake(
        "passphrase without listener",
        f"--passphrase-file needs --tls-grpc-listener. {TRY_RUN}",
        typed=(*RUN, "--passphrase-file", "none"),
        code=2,
    ),
    Mistake(
        "controller without token",
        f"{FILE}: a controller needs token and metadata.namespace",
        f"{LAMP}endpoint: lab:8082\n",
        typed=RUN,
    ),
    Mistake(
        "controller whose address is none",
        "'https://lab:8082' is not an address; write it as host:port",
        LAMP.replace("null", "lab") + "endpoint: https://lab:8082\ntoken: x\n",
        typed=RUN,
    ),
    Mistake(
        "listener without protection",
        "--tls-grpc-listener needs --tls-cert and --tls-key, or --tls-grpc-insecure. " + TRY_RUN,
        typed=LISTEN,
        code=2,
    ),
    Mistake(
        "certificate without key",
        "--tls-grpc-listener needs --tls-cert and --tls-key, or --tls-grpc-insecure. " + TRY_RUN,
        typed=(*LISTEN, "--tls-cert", "cert.pem"),
        code=2,
    ),
    Mistake(
        "certificate without TLS",
        f"--tls-grpc-insecure excludes --tls-cert and --tls-key. {TRY_RUN}",
        typed=(*LISTEN, "--tls-grpc-insecure", "--tls-cert", "cert.pem"),
        code=2,
    ),
    Mistake(
        "certificate that is not there",
        "cert.pem: No such file or directory",
        typed=(*LISTEN, "--tls-cert", "cert.pem", "--tls-key", "key.pem"),
    ),
    Mistake(
        "port that is none",
        "--tls-grpc-listener: '65536' is no [HOST:]PORT with a port from 0 to 65535. " + TRY_RUN,
        typed=(*RUN, "--tls-grpc-listener", "65536", "--tls-grpc-insecure"),
        code=2,
    ),
]


def case(mistake: Mistake) -> str:
    return mistake.case.replace(" ", "-")


@pytest.mark.parametrize("mistake", [*IN_THE_FILE, *WHICH_FILE, *OPTIONS], ids=case)
def test_mistake_is_one_line(mistake: Mistake, desk: Desk):
    desk.file(mistake.text)
    done = desk.jmp(*mistake.typed, env=mistake.env)
    line = mistake.line.replace("CONFIG", desk.environ["JMP_CLIENT_CONFIG_HOME"])
    assert (done.code, done.out, done.err) == (mistake.code, "", f"Error: {line}\n")


@pytest.mark.parametrize("mistake", IN_THE_FILE, ids=case)
def test_run_tells_the_same_of_a_file(mistake: Mistake, desk: Desk):
    desk.file(mistake.text)
    done = desk.jmp(*LISTEN, "--tls-grpc-insecure")
    assert (done.code, done.out, done.err) == (mistake.code, "", f"Error: {mistake.line}\n")


@pytest.mark.parametrize(
    ("host", "env"),
    [
        ("/nowhere/socket", {}),
        ("{folder}/file", {}),
        ("{folder}", {}),
        ("127.0.0.1:1", {"JMP_GRPC_INSECURE": "1"}),
    ],
    ids=["nothing", "file", "folder", "port"],
)
def test_dead_socket_is_one_line(host: str, env: dict[str, str], desk: Desk):
    desk.file("", "file")
    where = host.format(folder=desk.folder)
    done = desk.j("lamp", "on", env={"JUMPSTARTER_HOST": where, **env})
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"Error: {where}: no exporter answers there; is it running? (")
    assert done.err.count("\n") == 1


def test_setting_that_is_neither_true_nor_false_is_one_line(desk: Desk):
    env = {"JUMPSTARTER_HOST": "/nowhere", "JMP_DRIVERS_UNSAFE": "maybe"}
    done = desk.j("lamp", "on", env=env)
    assert (done.code, done.out) == (1, "")
    assert done.err == "Error: JMP_DRIVERS_UNSAFE must be true or false, not 'maybe'\n"
