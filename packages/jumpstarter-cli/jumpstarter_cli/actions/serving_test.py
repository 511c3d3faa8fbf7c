import os
import signal
import socket
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from jumpstarter_cli.conftest import JMP, LAMP, Desk, variables

HOOKS = """\
hooks:
  beforeLease: {{script: "echo begun; {before}", onFailure: exit}}
  afterLease: {{script: "echo ended; {after}", onFailure: exit}}
"""
PLAIN = ("--tls-grpc-insecure",)


def hooks(before: str = "true", after: str = "true") -> str:
    return LAMP + HOOKS.format(before=before, after=after)


def certificate(folder: Path) -> tuple[Path, Path]:
    """Write a certificate for 127.0.0.1 that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "board")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    chain_file, key_file = folder / "cert.pem", folder / "key.pem"
    chain_file.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return chain_file, key_file


@contextmanager
def running(
    desk: Desk, *options: str, text: str = LAMP
) -> Generator[tuple[subprocess.Popen[str], str]]:
    """Run an exporter on a free port; yield its process and the line that it begins with."""
    argv = ("run", "--exporter-config", desk.file(text), "--tls-grpc-listener", "0", *options)
    with desk.start(*JMP, *argv) as process:
        assert process.stdout is not None
        yield process, process.stdout.readline()


def ended(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str]:
    """Send a signal; return the exit code and the log."""
    process.send_signal(number)
    _, log = process.communicate(timeout=20)
    return process.returncode, log


def address(line: str) -> str:
    return line.split()[2]


def lamp_on(desk: Desk, line: str, *options: str, **env: str) -> tuple[int, str, str]:
    """Switch the lamp on from a direct shell; return exit code, output and errors."""
    argv = ("shell", "--tls-grpc", address(line), *options, "--", "j", "lamp", "on")
    done = desk.jmp(*argv, env=env)
    return done.code, done.out, done.err


ON = (0, "Lamp is on\n", "")


def test_port_alone_listens_on_loopback_and_serves(desk: Desk):
    with running(desk, *PLAIN) as (_, line):
        assert line.startswith("Listening on 127.0.0.1:")
        assert line.endswith(" (no TLS, no passphrase)\n")
        assert lamp_on(desk, line, *PLAIN) == ON
        assert lamp_on(desk, line, *PLAIN) == ON


def test_command_in_a_direct_shell_sees_how_it_is_connected(desk: Desk):
    with running(desk, *PLAIN, "--passphrase", "a b") as (_, line):
        argv = ("shell", "--tls-grpc", address(line), *PLAIN, "--passphrase", "a b", "--", "env")
        found = variables(desk.jmp(*argv).out)
    assert {key: value for key, value in found.items() if key.startswith(("JMP_", "JUMP"))} == {
        "JMP_CLIENT_CONFIG_HOME": str(desk.folder / "config"),
        "JMP_DRIVERS_ALLOW": "UNSAFE",
        "JMP_EXPORTER": "direct",
        "JMP_GRPC_INSECURE": "1",
        "JMP_GRPC_PASSPHRASE": "a b",
        "JMP_LEASE": "direct",
        "JUMPSTARTER_HOST": address(line),
    }


def test_passphrase_comes_from_file_or_environment(desk: Desk):
    secret = desk.file("s3cret\n", "secret")
    with running(desk, *PLAIN, "--passphrase-file", secret) as (_, line):
        assert line.endswith(" (no TLS, passphrase)\n")
        assert lamp_on(desk, line, *PLAIN, "--passphrase-file", secret) == ON
        assert lamp_on(desk, line, *PLAIN, JMP_GRPC_PASSPHRASE="s3cret") == ON


@pytest.mark.parametrize("options", [(), ("--passphrase", "wrong")], ids=["none", "wrong"])
def test_client_without_the_passphrase_is_refused_in_one_line(options: tuple[str, ...], desk: Desk):
    with running(desk, *PLAIN, "--passphrase", "right") as (_, line):
        assert lamp_on(desk, line, *PLAIN, *options) == (
            1,
            "",
            "Error: Authentication failed: invalid or missing passphrase\n",
        )


def test_tls_is_verified_against_the_roots_of_the_client(desk: Desk):
    chain, key = certificate(desk.folder)
    with running(desk, "--tls-cert", str(chain), "--tls-key", str(key)) as (_, line):
        assert line.endswith(" (TLS, no passphrase)\n")
        trusting = {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(chain)}
        assert lamp_on(desk, line, **trusting) == ON
        code, out, err = lamp_on(desk, line)
        assert (code, out) == (1, "")
        assert "certificate" in err.lower()
        assert err.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_stops_cleanly_after_the_hook(number: signal.Signals, desk: Desk):
    with running(desk, *PLAIN, text=hooks()) as (process, _):
        code, log = ended(process, number)
    assert code == 0
    assert log.index("begun") < log.index("ended")
    assert list(desk.sockets.iterdir()) == []


def test_signal_that_was_ignored_at_the_start_stays_so(desk: Desk):
    argv = (*JMP, "run", "--exporter-config", desk.file(LAMP), "--tls-grpc-listener", "0", *PLAIN)
    script = "trap '' HUP; exec \"$@\""
    with desk.start("sh", "-c", script, "sh", *argv) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.send_signal(signal.SIGHUP)
        assert lamp_on(desk, line, *PLAIN) == ON
        assert ended(process, signal.SIGTERM)[0] == 0


def test_second_signal_ends_a_hook_that_takes_its_time(desk: Desk):
    os.mkfifo(desk.folder / "pipe")
    with running(desk, *PLAIN, text=hooks(after="read x < pipe")) as (process, _):
        process.send_signal(signal.SIGTERM)
        # Opening the other end waits until the hook is there.
        with open(desk.folder / "pipe", "w", encoding="utf-8"):
            code, _ = ended(process, signal.SIGTERM)
    assert code == -signal.SIGTERM


def test_signal_before_it_is_ready_ends_the_hook_too(desk: Desk):
    argv = ("run", "--exporter-config", desk.file(hooks(before="exec sleep 50")))
    with desk.start(*JMP, *argv, "--tls-grpc-listener", "0", *PLAIN) as process:
        assert process.stderr is not None
        assert "begun" in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, "")


@pytest.mark.parametrize(
    ("before", "after", "hook"), [("exit 3", "true", "before"), ("true", "exit 3", "after")]
)
def test_hook_that_stops_the_exporter_is_an_error(before: str, after: str, hook: str, desk: Desk):
    with running(desk, *PLAIN, text=hooks(before, after)) as (process, line):
        assert line.startswith("Listening") is (hook == "after")
        code, log = ended(process, signal.SIGTERM)
    assert code == 1
    assert log.endswith(f"Error: {hook}Lease hook: Hook failed with exit code 3\n")


def test_log_has_the_form_that_was_asked_for(desk: Desk):
    for form, mark in (("json", '"message": "begun"'), ("text", "hook.beforeLease: begun")):
        argv = ("--log-format", form, "run", "--exporter-config", desk.file(hooks()))
        with desk.start(*JMP, *argv, "--tls-grpc-listener", "0", *PLAIN) as process:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("Listening")
            code, log = ended(process, signal.SIGINT)
        assert code == 0
        assert mark in log


def test_what_a_network_makes_dangerous_is_a_warning(desk: Desk):
    argv = ("run", "--exporter-config", desk.file(LAMP), "--tls-grpc-listener", "0.0.0.0:0")
    with desk.start(*JMP, *argv, *PLAIN) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("Listening on 0.0.0.0:")
        _, log = ended(process, signal.SIGINT)
    assert "everyone who reaches this address can use the drivers: set a passphrase" in log


def test_taken_port_is_one_line(desk: Desk):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        argv = ("run", "--exporter-config", desk.file(LAMP), "--tls-grpc-listener", where)
        done = desk.jmp(*argv, *PLAIN)
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        f"Error: cannot listen on {where}: is it in use, or not an address of this host?\n"
    )


def test_certificate_that_is_none_is_one_line(desk: Desk):
    _, key = certificate(desk.folder)
    other = desk.file("no certificate", "other.pem")
    argv = ("run", "--exporter-config", desk.file(LAMP), "--tls-grpc-listener", "0")
    done = desk.jmp(*argv, "--tls-cert", other, "--tls-key", str(key))
    assert done.code == 1
    assert done.err.startswith(
        f"Error: '{other}' and '{key}' are not a certificate and its private key in PEM form: "
    )
    assert done.err.count("\n") == 1


def test_nobody_at_the_address_is_one_line(desk: Desk):
    with socket.create_server(("127.0.0.1", 0)) as free:
        where = f"127.0.0.1:{free.getsockname()[1]}"
    done = desk.jmp("shell", "--tls-grpc", where, *PLAIN, "--", "true")
    assert done.code == 1
    assert done.err.startswith(f"Error: {where}: no exporter answers there; is it running? (")
    assert done.err.count("\n") == 1
