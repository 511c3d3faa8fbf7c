"""Measures our router beside a grpc.aio relay that parses its messages, in one run.

    python benchmarks/router.py [ROW ...] [--rounds N] [--mib N] [--tunnels N] [--seconds N]

Prints JSON: for each row MB/s, processor seconds of the relay per GiB and its largest resident
memory, ours and the baseline's, and the ratio of the processor seconds, which is to be 0.75 at
most. The row `idle` is about tunnels that nobody uses. All goes over TLS; figures are medians
over the rounds, in which the relays take turns. Nothing here passes or fails.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from statistics import median

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from jumpstarter_router.claims import AUDIENCE, ISSUER
from jwt.algorithms import ECAlgorithm

HERE = Path(__file__).resolve().parent
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
TARGET = 0.75
RELAYS = ("parsing", "ours")
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Row:
    """Some tunnels, and the bytes in each message."""

    pairs: int
    payload: int


ROWS: Mapping[str, Row] = {
    "1 pair, 64 KiB": Row(1, 64 * KIB),  # the largest message of release 0.9.0
    "1 pair, 1 MiB": Row(1, MIB),  # the largest of ours
    "1 pair, 4 KiB": Row(1, 4 * KIB),
    "100 pairs, 64 KiB": Row(100, 64 * KIB),
    "100 pairs, 4 KiB": Row(100, 4 * KIB),
}
IDLE = "idle"


@dataclass(frozen=True)
class Files:
    """A certificate, its key, and the key that tokens are signed with."""

    folder: Path
    signer: ec.EllipticCurvePrivateKey

    @property
    def certificate(self) -> Path:
        """The certificate, PEM."""
        return self.folder / "tls.pem"

    @property
    def key(self) -> Path:
        """Its private key, PEM."""
        return self.folder / "key.pem"

    @property
    def keys(self) -> Path:
        """The public keys of tokens, a JSON Web Key Set."""
        return self.folder / "keys.json"

    def tokens(self, count: int) -> list[str]:
        """Return so many tokens, each for both sides of a stream."""
        now = int(time.time())
        times = {"iat": now, "exp": now + 1800}
        names = {"iss": ISSUER, "aud": [AUDIENCE], "lease": "lease", "fence": 1}
        return [
            jwt.encode({**times, **names, "sub": f"s{number}"}, self.signer, algorithm="ES256")
            for number in range(count)
        ]


@dataclass(frozen=True)
class Relay:
    """A relay that runs."""

    process: "subprocess.Popen[str]"
    port: str

    def cpu_seconds(self) -> float:
        """Return the processor seconds that it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").split()
        return (int(fields[13]) + int(fields[14])) / TICKS

    def memory(self, name: str) -> float:
        """Return VmRSS or VmHWM, in MiB."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii").splitlines()
        (value,) = (line.split()[1] for line in lines if line.startswith(f"{name}:"))
        return int(value) / KIB


def make_files(folder: Path) -> Files:
    """Make a certificate for this machine, and the key of a controller."""
    files = Files(folder, ec.generate_private_key(ec.SECP256R1()))
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "router benchmark")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    files.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
    files.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = json.loads(ECAlgorithm.to_jwk(files.signer.public_key()))
    files.keys.write_text(json.dumps({"keys": [public]}), encoding="ascii")
    return files


@contextmanager
def started(script: str, *words: object) -> Generator["subprocess.Popen[str]"]:
    """Run a script that talks over its standard input and output."""
    command = [sys.executable, str(HERE / script), *map(str, words)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def running(name: str, files: Files) -> Generator[Relay]:
    """Run a relay."""
    words = files.certificate, files.key, files.keys
    with started("router_relays.py", name, *words) as process:
        yield Relay(process, hear(process))


def hear(process: "subprocess.Popen[str]") -> str:
    """Return the next line that a process prints."""
    if process.stdout is None or not (line := process.stdout.readline()):
        raise RuntimeError(f"a process ended: {process.args!r}")
    return line.strip()


def say(process: "subprocess.Popen[str]", line: str = "") -> None:
    """Give a process a line."""
    if process.stdin is not None:
        process.stdin.write(f"{line}\n")
        process.stdin.flush()


@contextmanager
def tunnels(
    relay: Relay, files: Files, roles: Sequence[str], row: Row, messages: int
) -> Generator[list["subprocess.Popen[str]"]]:
    """Yield the processes at both ends of tunnels that are open."""
    tokens = json.dumps(files.tokens(row.pairs))
    with ExitStack() as stack:
        words = relay.port, files.certificate, row.payload, messages
        ends = [stack.enter_context(started("router_load.py", role, *words)) for role in roles]
        for end in ends:
            say(end, tokens)
        for end in ends:
            hear(end)
        yield ends


def transfer(name: str, files: Files, row: Row, mib: int) -> dict[str, float]:
    """Send so many MiB through a relay, in one direction."""
    messages = max(mib * MIB // row.payload // row.pairs, 1)
    size = messages * row.payload * row.pairs
    with (
        running(name, files) as relay,
        tunnels(relay, files, ("receive", "send"), row, messages) as ends,
    ):
        cpu, began = relay.cpu_seconds(), time.monotonic()
        for end in ends:
            say(end)
        for end in ends:
            hear(end)
        seconds, cpu = time.monotonic() - began, relay.cpu_seconds() - cpu
        return {
            "mb_per_s": size / seconds / 1e6,
            "cpu_s_per_gib": cpu / (size / GIB),
            "peak_mib": relay.memory("VmHWM"),
        }


def idle(name: str, files: Files, count: int, seconds: float) -> dict[str, float]:
    """Open tunnels, and leave them alone."""
    with running(name, files) as relay:
        empty, cpu = relay.memory("VmRSS"), relay.cpu_seconds()
        with tunnels(relay, files, ("idle", "idle"), Row(count, 1), 0):
            opening, memory = relay.cpu_seconds() - cpu, relay.memory("VmRSS")
            cpu = relay.cpu_seconds()
            # The figure is what happens when nothing does.
            time.sleep(seconds)  # noqa: TID251 - see above
            busy = relay.cpu_seconds() - cpu
        return {
            "mib": memory,
            "kib_per_tunnel": (memory - empty) * KIB / count,
            "cpu_ms_per_tunnel_opened": opening * 1e3 / count,
            "cpu_percent_idle": busy / seconds * 100,
        }


def medians(measured: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the median of each figure."""
    columns: dict[str, list[float]] = defaultdict(list)
    for figures in measured:
        for name, value in figures.items():
            columns[name].append(value)
    return {name: round(median(values), 2) for name, values in columns.items()}


def row_figures(files: Files, name: str, options: argparse.Namespace) -> dict[str, object]:
    """Measure one row with both relays, in turn."""
    measured: dict[str, list[dict[str, float]]] = defaultdict(list)
    for _ in range(options.rounds):
        for relay in RELAYS:
            measured[relay].append(
                idle(relay, files, options.tunnels, options.seconds)
                if name == IDLE
                else transfer(relay, files, ROWS[name], options.mib)
            )
    figures = {relay: medians(rounds) for relay, rounds in measured.items()}
    result: dict[str, object] = {"ours": figures["ours"], "baseline": figures["parsing"]}
    if name != IDLE:
        ours, theirs = (figures[relay]["cpu_s_per_gib"] for relay in ("ours", "parsing"))
        result |= {"cpu_ratio": round(ours / theirs, 2), "target": TARGET}
    return result


def main() -> None:
    """Print the figures as JSON, and a line per row to standard error when it is done."""
    parser = argparse.ArgumentParser(description="Measure the router.")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join([*ROWS, IDLE]))
    parser.add_argument("--rounds", type=int, default=3, help="turns of each relay (default 3)")
    parser.add_argument("--mib", type=int, default=512, help="sent in each turn (default 512)")
    parser.add_argument("--tunnels", type=int, default=1000, help="in the row idle (default 1000)")
    parser.add_argument("--seconds", type=float, default=20.0, help="idle for (default 20)")
    options = parser.parse_args()
    unknown = sorted(set(options.rows) - {*ROWS, IDLE})
    if unknown:
        parser.error(f"no row {unknown[0]!r}: choose from {', '.join([*ROWS, IDLE])}")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    results: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        files = make_files(Path(folder))
        for name in options.rows or [*ROWS, IDLE]:
            results[name] = row_figures(files, name, options)
            sys.stderr.write(f"{name}: {json.dumps(results[name])}\n")
    document = {
        "machine": f"{platform.machine()}, {os.cpu_count()} processors, Linux {platform.release()}",
        "python": platform.python_version(),
        "rounds": options.rounds,
        "results": results,
    }
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
