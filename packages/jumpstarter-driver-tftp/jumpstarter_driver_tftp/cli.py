"""The commands of the TFTP client, in the order in which the help shows them.

What people read is a table or a sentence; `-o` gives programs JSON or YAML.
"""

import json
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from ipaddress import ip_address
from typing import Protocol, TypeVar

import click
from jumpstarter.config.documents import dump

from jumpstarter_driver_tftp.doctor import (
    QUIET_SECONDS,
    WAIT_SECONDS,
    Attempt,
    Rules,
    conclude,
    explain,
    instructions,
    served,
)
from jumpstarter_driver_tftp.errors import TftpError
from jumpstarter_driver_tftp.reports import Report, State, Status
from jumpstarter_driver_tftp.storing import Stored
from jumpstarter_driver_tftp.tables import headings, row, table
from jumpstarter_driver_tftp.wording import size_in_words

FAILED = 1

Callback = TypeVar("Callback", bound=Callable[..., object])


class Tftp(Protocol):  # the client says what its methods do
    """What the commands use of the client."""

    def start(self) -> None: ...  # noqa: D102 - see the client
    def stop(self) -> None: ...  # noqa: D102 - see the client
    def get_host(self) -> str: ...  # noqa: D102 - see the client
    def get_port(self) -> int: ...  # noqa: D102 - see the client
    def server_status(self) -> Status: ...  # noqa: D102 - see the client
    def transfers(self, *, follow: bool) -> Generator[Report]: ...  # noqa: D102 - see the client
    def put(self, path: str, name: str | None = None) -> Stored: ...  # noqa: D102 - see the client
    def get(self, name: str, path: str | None = None) -> Stored: ...  # noqa: D102 - see the client
    def ls(self, path: str) -> Iterable[Stored]: ...  # noqa: D102 - see the client
    def rm(self, name: str) -> None: ...  # noqa: D102 - see the client
    def attempt(self, rules: Rules) -> tuple[Attempt, Generator[Report]]: ...  # noqa: D102 - see the client


def commands(client: Tftp) -> list[click.Command]:
    """Return all commands for `client`."""
    makers: tuple[Callable[[Tftp], click.Command], ...] = (
        *(_start, _stop, _get_host, _get_port, _status, _transfers, _doctor),
        *(_put, _get, _ls, _rm),
    )
    return [make(client) for make in makers]


def _start(client: Tftp) -> click.Command:
    @click.command()
    def start() -> None:
        """Start to serve, and print the URL of the root"""
        client.start()
        host = client.get_host()
        shown = f"[{host}]" if ":" in host else host
        click.echo(f"tftp://{shown}:{client.get_port()}/")

    return start


def _stop(client: Tftp) -> click.Command:
    @click.command()
    def stop() -> None:
        """Stop to serve"""
        client.stop()

    return stop


def _get_host(client: Tftp) -> click.Command:
    @click.command("get-host")
    def get_host() -> None:
        """Print the address that devices ask"""
        click.echo(client.get_host())

    return get_host


def _get_port(client: Tftp) -> click.Command:
    @click.command("get-port")
    def get_port() -> None:
        """Print the port that devices ask"""
        click.echo(client.get_port())

    return get_port


def _output(*forms: str) -> Callable[[Callback], Callback]:
    return click.option("-o", "--output", type=click.Choice(forms), help="Print for programs")


def _print(data: object, form: str) -> None:
    if form == "json":
        click.echo(json.dumps(data, indent=4, ensure_ascii=False))
    else:
        click.echo(dump(data), nl=False)


def _status(client: Tftp) -> click.Command:
    @click.command()
    @_output("json", "yaml")
    def status(output: str | None) -> None:
        """Show whether the server runs and where, and what it does"""
        found = client.server_status()
        if output is not None:
            _print(found.to_json(), output)
            return
        state = "serves" if found.running else "stopped; would serve"
        click.echo(f"{state} {found.url}")
        counts = ", ".join(f"{count} {name}" for name, count in sorted(found.counts.items()))
        click.echo(f"requests: {found.requests}" + (f" (latest: {counts})" if counts else ""))
        for name, value in sorted(found.settings.items()):
            click.echo(f"{name}: {_plain(value)}")

    return status


def _plain(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | bool) else str(value)


def _transfers(client: Tftp) -> click.Command:
    @click.command()
    @click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until interrupted")
    @_output("json")
    def transfers(*, follow: bool, output: str | None) -> None:
        """Show who asked for what, and what they got

        With -o json each line is an object.
        """
        reports = client.transfers(follow=follow)
        if output is not None:
            for report in reports:
                click.echo(json.dumps(report.to_json(), ensure_ascii=False))
        elif follow:
            _follow(reports)
        else:
            click.echo("\n".join(table(list(reports))) or "No request has come.")
        if follow:
            click.echo("The server does not run.", err=True)

    return transfers


def _follow(reports: Iterable[Report]) -> None:
    click.echo(headings())
    for report in reports:
        # A terminal of people shows ends; who wants each second's progress reads JSON.
        if report.state is not State.RUNNING:
            click.echo(row(report))


def _doctor(client: Tftp) -> click.Command:
    @click.command()
    @click.option(
        "--client",
        "address",
        metavar="ADDRESS",
        callback=_address,
        help="Device to watch; else the first that asks",
    )
    @_seconds("--wait", WAIT_SECONDS, "for its first request")
    @_seconds("--quiet", QUIET_SECONDS, "without another request that end it")
    @click.pass_context
    def doctor(context: click.Context, address: str | None, wait: float, quiet: float) -> None:
        """Watch one netboot attempt, and say what went wrong

        Switch the device on when this says so. The exit code is 0 when it got the last file that
        it asked for.
        """
        status = client.server_status()
        if not status.running:
            client.start()
            status = client.server_status()
            click.echo("The server was not running and has been started.")
        rules = Rules(after=status.requests, client=address, wait=wait, quiet=quiet)
        attempt, reports = client.attempt(rules)
        _say(instructions(status))
        whom = address or "the device"
        click.echo(f"Switch {whom} on now; waiting {wait:g} s for its first request.")
        for report in reports:
            _explain(report, status)
        click.echo()
        _say(conclude(attempt, client.server_status()))
        context.exit(0 if served(attempt.ended) else FAILED)

    return doctor


def _seconds(name: str, default: float, what: str) -> Callable[[Callback], Callback]:
    kind = click.FloatRange(min=0)
    return click.option(name, type=kind, default=default, show_default=True, help=f"Seconds {what}")


def _explain(report: Report, status: Status) -> None:
    first, *rest = explain(report, single_port=bool(status.settings.get("single_port")))
    click.echo(first)
    _say(rest, "    ")


def _say(lines: Sequence[str], indent: str = "") -> None:
    for line in lines:
        click.echo(f"{indent}{line}")


def _address(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    try:
        return str(ip_address(value))
    except ValueError:
        raise click.BadParameter(f"{value!r} is no IP address") from None


@contextmanager
def _told() -> Generator[None]:
    """Turn this package's errors into those that a command line tells in one line."""
    try:
        yield
    except TftpError as error:
        raise click.ClickException(str(error)) from error


def _put(client: Tftp) -> click.Command:
    @click.command()
    @click.argument("files", metavar="FILE...", nargs=-1, required=True)
    @click.option("--as", "name", metavar="NAME", help="What devices ask for; else the file's name")
    def put(files: tuple[str, ...], name: str | None) -> None:
        """Serve FILE, and verify that it arrived as it is

        A file appears under its name when all of it has arrived.
        """
        if name is not None and len(files) > 1:
            raise click.UsageError("--as names one file, and several were given")
        for file in files:
            with _told():
                stored = client.put(file, name)
            click.echo(f"{stored.name}: {size_in_words(stored.size)}, verified")

    return put


def _get(client: Tftp) -> click.Command:
    @click.command()
    @click.argument("name")
    @click.argument("dest", required=False)
    def get(name: str, dest: str | None) -> None:
        """Fetch the file NAME, to DEST or to its own name here"""
        with _told():
            stored = client.get(name, dest)
        click.echo(f"{stored.name}: {size_in_words(stored.size)}, verified")

    return get


def _ls(client: Tftp) -> click.Command:
    @click.command()
    @click.argument("path", default="")
    @_output("json", "yaml", "name")
    def ls(path: str, output: str | None) -> None:
        """List the files that are served, at any depth, or those below PATH"""
        files = client.ls(path)
        if output == "name":
            for file in files:
                click.echo(file.name)
        elif output is not None:
            _print([asdict(file) for file in files], output)
        else:
            for file in files:
                click.echo(f"{file.size:>12}  {file.name}")

    return ls


def _rm(client: Tftp) -> click.Command:
    @click.command()
    @click.argument("names", metavar="NAME...", nargs=-1, required=True)
    def rm(names: tuple[str, ...]) -> None:
        """Remove files"""
        for name in names:
            client.rm(name)

    return rm
