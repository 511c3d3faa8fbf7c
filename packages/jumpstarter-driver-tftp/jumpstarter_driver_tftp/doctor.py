"""Says in plain words what one netboot attempt came to, and why. Pure: the time is passed in.

`explain` tells about one request, `Attempt` decides which requests belong together and when no
more is to be expected, `conclude` says what became of the whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from jumpstarter_driver_tftp.causes import causes
from jumpstarter_driver_tftp.reports import Report, State, Status
from jumpstarter_driver_tftp.wording import counted, quoted

WAIT_SECONDS = 60.0
"""How long a device may take to ask for the first time: it may have to be switched on by hand."""

QUIET_SECONDS = 5.0
"""How long nothing may come before an attempt counts as over; boot loaders go on sooner."""

TFTP_PORT = 69


def explain(report: Report, *, single_port: bool = False) -> list[str]:
    """Return what a client asked and what it got, and then why, and what to do, a line each.

    Args:
        report: the request.
        single_port: whether the server uses one port already, and need not be told to.
    """
    found = causes(report, single_port=single_port)
    return [f"{report.client} {_asked(report)}: {found[0]}", *found[1:]]


def instructions(status: Status) -> list[str]:
    """Return where a device is to be pointed, a line each."""
    host, port = urlsplit(status.url).hostname, status.port
    serverip = f"in U-Boot `setenv serverip {host}`"
    lines = [
        f"Files are served at {status.url}",
        f"Point the device there: DHCP next-server (option 66), or {serverip}.",
    ]
    if port != TFTP_PORT:
        tftpdstp = f"in U-Boot `setenv tftpdstp {port}`"
        lines.append(f"Boot ROMs know only port {TFTP_PORT}, and this is {port}; {tftpdstp}.")
    return lines


@dataclass(frozen=True, slots=True)
class Rules:
    """Which requests an attempt consists of, and how long to wait for them.

    Attributes:
        after: the number of the last request that came before the attempt.
        client: address of the device; None takes the first that asks.
        wait: seconds that the first request may take.
        quiet: seconds without a request after which the attempt is over.
    """

    after: int = 0
    client: str | None = None
    wait: float = WAIT_SECONDS
    quiet: float = QUIET_SECONDS


class Attempt:
    """What one device asks for from one power-on, as far as it is known.

    Attributes:
        client: address of the device, once it is known.
        others: addresses of others that asked meanwhile.
        ended: its requests that have ended, in the order of their ends.
        strays: how many datagrams came from it, or from anybody before it, that are no requests.
    """

    def __init__(self, rules: Rules, now: float) -> None:
        """Begin to wait."""
        self.client = rules.client
        self.others: set[str] = set()
        self.ended: list[Report] = []
        self.strays = 0
        self._rules = rules
        self._running: set[int] = set()
        self._known: set[int] = set()
        self._deadline = now + rules.wait

    def take(self, report: Report, now: float) -> bool:
        """Note what has become of a request; tells whether it has ended and belongs here."""
        if report.number <= self._rules.after or report.number in self._known:
            return False
        if not self._is_of_device(report):
            self.others.add(report.address)
            return False
        if report.state is State.RUNNING:
            self._running.add(report.number)
            return False
        self._running.discard(report.number)
        self._known.add(report.number)
        if report.action:
            self._deadline = now + self._rules.quiet
            self.ended.append(report)
        else:
            self.strays += 1
        return True

    def deadline(self) -> float | None:
        """Return when it is over if nothing else comes; None while something is under way."""
        return None if self._running else self._deadline

    def is_over(self, now: float) -> bool:
        """Tell whether nothing more is to be expected."""
        deadline = self.deadline()
        return deadline is not None and now >= deadline

    def _is_of_device(self, report: Report) -> bool:
        if self.client is None and report.action:
            self.client = report.address
        return self.client is None or _same_address(self.client, report.address)


def served(reports: Sequence[Report]) -> bool:
    """Tell whether the last file that was asked for has arrived."""
    return bool(reports) and _last(reports).whole


def conclude(attempt: Attempt, status: Status) -> list[str]:
    """Return what the attempt came to, a line each."""
    if not attempt.ended:
        return _nothing_came(attempt, status)
    last = _last(attempt.ended)
    arrived = sum(report.whole for report in attempt.ended)
    count = f"{counted(len(attempt.ended), 'request')}, {arrived} served"
    if last.whole:
        return [f"Good: {attempt.client} got the last file, {_name(last)} ({count})."]
    return [f"Failed: {attempt.client} did not get the last file, {_name(last)} ({count})."]


def _last(reports: Sequence[Report]) -> Report:
    return max(reports, key=lambda report: report.number)


def _asked(report: Report) -> str:
    if not report.action:
        return "sent what is no request"
    verb = "asked for" if report.action == "read" else "wanted to write"
    options = [f"{quoted(name, '')} {quoted(value, '')}" for name, value in report.asked]
    details = ([report.mode] if report.mode != "octet" else []) + options
    return f"{verb} {_name(report)}" + (f" ({', '.join(details)})" if details else "")


def _name(report: Report) -> str:
    return quoted(report.name)


def _nothing_came(attempt: Attempt, status: Status) -> list[str]:
    whom = f" from {attempt.client}" if attempt.client else ""
    lines = [f"Failed: no request came{whom}."]
    if not status.running:
        lines.append("The server was stopped meanwhile.")
    if attempt.strays:
        lines.append(f"What came is no TFTP: {counted(attempt.strays, 'datagram')}.")
    if attempt.others:
        asked = ", ".join(sorted(attempt.others))
        lines.append(f"Others asked: {asked}. Is one of them the device?")
    if _is_loopback(status.host):
        lines.append(f"{status.host} is reached from this machine only: set another `host`.")
    if status.port != TFTP_PORT:
        lines.append(f"Boot ROMs ask port {TFTP_PORT}, and this server listens on {status.port}.")
    seen = f"`tcpdump -ni any udp port {status.port}` there shows what arrives before it."
    return [
        *lines,
        f"Is {status.host} what DHCP hands out as next-server (option 66), or U-Boot's `serverip`?",
        "Is the device switched on and set to boot from the network, and does its link light up?",
        "Are cable, switch and VLAN right? `ping` from the device's boot loader tells.",
        f"Does a firewall on the exporter's machine drop UDP port {status.port}? {seen}",
    ]


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"


def _same_address(one: str, other: str) -> bool:
    try:
        return ip_address(one) == ip_address(other)
    except ValueError:
        return one == other
