"""What users of a lab get for what they got wrong: exactly one line, and the exit code."""

from pathlib import Path

import pytest

from .bad_input_test import FILE, NO_DEFAULT, Mistake, case
from .lab_desk_test import Done, point_at, quiet_logging, typed

NO_CLIENT = f"none of --client, --client-config is specified, {NO_DEFAULT}"
SPANS = "write 90 (seconds), 30m, 1h30m, 01:30:00 or PT1H30M"
CLIENT = "metadata: {namespace: lab, name: ann}\nendpoint: 127.0.0.1:1\ntoken: x\n"
LEASE = ("create", "lease", "--client-config", FILE, "-l", "a=b")
SHORT = (*LEASE, "--duration", "5m")


def usage(
    case: str, line: str, *typed: str, env: dict[str, str] | None = None, text: str = CLIENT
) -> Mistake:
    """Return a mistake in options, after which the help of the command is pointed to."""
    words = [word for word in typed if not word.startswith("-")]
    command = " ".join(words[: 1 if words[0] in {"shell", "why", "login"} else 2])
    return Mistake(case, f"{line}. Try 'jmp {command} --help'.", text, typed, 2, env or {})


CLIENTS = [
    *(
        Mistake(f"no client for {words[0]} {words[-1]}", NO_CLIENT, typed=words)
        for words in [
            ("get", "exporters"),
            ("get", "leases"),
            ("create", "lease", "-l", "a=b", "--duration", "5m"),
            ("update", "lease", "x", "--duration", "5m"),
            ("delete", "leases", "x"),
            ("why", "x"),
            ("auth", "status"),
            ("auth", "refresh"),
            ("auth", "rotate"),
        ]
    ),
    Mistake(
        "unknown client",
        "there is no client 'none': 'CONFIG/clients/none.yaml' does not exist; "
        "`jmp config client list` shows those there are",
        typed=("get", "exporters", "--client", "none"),
    ),
    Mistake(
        "unknown client to use",
        "there is no client 'none': 'CONFIG/clients/none.yaml' does not exist; "
        "`jmp config client list` shows those there are",
        typed=("config", "client", "use", "none"),
    ),
    Mistake(
        "unknown client to delete",
        "there is no client 'none': 'CONFIG/clients/none.yaml' does not exist; "
        "`jmp config client list` shows those there are",
        typed=("config", "client", "delete", "none"),
    ),
    Mistake(
        "missing client file",
        "configuration file 'none.yaml' does not exist; check the path",
        typed=("get", "leases", "--client-config", "none.yaml"),
    ),
    Mistake(
        "unknown key in a client file",
        f"{FILE}:1: tokn is not a known key; did you mean 'token'?",
        "tokn: x\nmetadata: {namespace: lab, name: ann}\n",
        ("get", "leases", "--client-config", FILE),
    ),
    Mistake(
        "client file without token",
        f"{FILE}: the client has no token; log in with `jmp login`",
        CLIENT.replace("token: x\n", ""),
        ("get", "leases", "--client-config", FILE),
    ),
    Mistake(
        "client file without endpoint",
        f"{FILE}: the client has no endpoint; set it to the controller's",
        CLIENT.replace("endpoint: 127.0.0.1:1\n", ""),
        ("get", "exporters", "--client-config", FILE),
    ),
    Mistake(
        "client without a name of its own",
        f"{FILE}: metadata.name is empty, so that it is not known which leases are its own; "
        "set it, or use --all-clients",
        CLIENT.replace("ann", "''"),
        ("get", "leases", "--client-config", FILE),
    ),
    Mistake(
        "selector that is none",
        "label selector 'a=b=c': expected ',' or the end, found '=' at character 4",
        CLIENT,
        ("get", "leases", "--client-config", FILE, "-l", "a=b=c"),
    ),
    Mistake(
        "token that is none",
        "the token is no JSON web token: it has not three parts between dots",
        CLIENT,
        ("auth", "status", "--client-config", FILE),
    ),
    Mistake(
        "token of the environment to rotate",
        "the client comes from the environment, which cannot keep a new token; name a file with "
        "--client or --client-config",
        typed=("auth", "rotate"),
        env={"JMP_NAMESPACE": "lab", "JMP_NAME": "ann", "JMP_TOKEN": "x"},
    ),
]
LEASES = [
    usage("two clients", "--client and --client-config exclude each other",
          "get", "exporters", "--client", "a", "--client-config", "b"),
    usage("client and exporter", "--client and --exporter exclude each other",
          "shell", "--client", "a", "--exporter", "b"),
    usage("lease of an exporter", "--selector is for a client's lease, and --exporter has none",
          "shell", "--exporter", "b", "-l", "a=b"),
    usage("lease of an address", "--lease is for a client's lease, and --tls-grpc has none",
          "shell", "--tls-grpc", "b:1", "--lease", "a"),
    usage("columns", "--with: 'owner' is none of leases, online, status",
          "get", "exporters", "--with", "online,owner"),
    usage("page size", "Invalid value for '--page-size': 0 is not in the range 1<=x<=1000",
          "get", "leases", "--page-size", "0"),
    usage("names and selector", "names exclude --selector and --tag-filter",
          "get", "leases", "x", "-l", "a=b"),
    usage("no duration", "Missing option '--duration'", *LEASE),
    usage("duration", f"Invalid value for '--duration': '5x' is no duration; {SPANS}",
          *LEASE, "--duration", "5x"),
    usage("no time at all", "Invalid value for '--duration': '0' is no usable duration: it must be "
          "more than 0, and at most 36500 days", *LEASE, "--duration", "0"),
    usage("begin", "Invalid value for '--begin-time': 'noon' is no date and time; write them as "
          "2030-01-31T08:00 or 2030-01-31T08:00Z", *SHORT, "--begin-time", "noon"),
    usage("no exporter to lease", "say which exporter: --selector or --name",
          "create", "lease", "--duration", "5m"),
    usage("tag", "--tag: 'x' is no KEY=VALUE", *SHORT, "--tag", "x"),
    usage("tag twice", "--tag: 'x' is given twice",
          *SHORT, "--tag", "x=1", "--tag", "x=2"),
    usage("context", "--context: 'x' is no KEY=VALUE", *SHORT, "--context", "x"),
    usage("long context", "--context: 'x' may have 32 characters, and its value 64",
          *SHORT, "--context", f"x={'y' * 65}"),
    usage("much context", "--context: 9 are given, at most 8 go", *SHORT,
          *(word for number in range(9) for word in ("--context", f"{number}=x"))),
    usage("no change", "say what to change: --duration, --begin-time, --to-client",
          "update", "lease", "x"),
    usage("nothing to delete", "say which leases: their names, or --selector, or --all",
          "delete", "leases"),
    usage("names and all", "say which leases: their names, or --selector, or --all",
          "delete", "leases", "x", "--all"),
    usage("short wait", "Invalid value for '--acquisition-timeout': '4' is no usable duration: it "
          "must be at least 5 seconds, and at most 36500 days",
          "shell", "--acquisition-timeout", "4"),
]  # fmt: skip


@pytest.mark.parametrize("mistake", [*CLIENTS, *LEASES], ids=case)
def test_mistake_of_a_client_is_one_line(
    mistake: Mistake,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    point_at(tmp_path, monkeypatch)
    monkeypatch.chdir(tmp_path)
    (tmp_path / FILE).write_text(mistake.text)
    for name, value in mistake.env.items():
        monkeypatch.setenv(name, value)
    with quiet_logging():
        done = typed(capfd, *mistake.typed)
    line = mistake.line.replace("CONFIG", str(tmp_path))
    assert done == Done(mistake.code, "", f"Error: {line}\n")
