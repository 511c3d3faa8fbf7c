"""`jmp lab`: a lab on this machine."""

from pathlib import Path
from typing import Any

import click

from jumpstarter_cli.commands.admin_options import (
    admin_options,
    allow_options,
    label_option,
)
from jumpstarter_cli.deferred import deferred
from jumpstarter_cli.groups import CommandGroup
from jumpstarter_cli.options import FILE, output_option


@click.group(cls=CommandGroup)
def lab() -> None:
    """Run a lab on this machine, and add exporters and clients to it."""


@lab.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Directory of all that it keeps; by default jumpstarter/lab in $XDG_DATA_HOME",
)
@click.option("--namespace", default="default", help="Namespace of all that is in it")
@click.option(
    "--grpc",
    default="127.0.0.1:8082",
    metavar="HOST:PORT",
    help="Where the controller listens. Others reach it with 0.0.0.0, and --endpoint",
)
@click.option(
    "--router", default="127.0.0.1:8083", metavar="HOST:PORT", help="Where the router listens"
)
@click.option("--endpoint", metavar="HOST:PORT", help="Where others reach the controller")
@click.option("--router-endpoint", metavar="HOST:PORT", help="Where others reach the router")
@click.option(
    "--login", metavar="HOST:PORT", help="Where to serve logins and health over HTTP; off otherwise"
)
@click.option("--tls-cert", type=FILE, metavar="FILE", help="Certificate, with its chain, as PEM")
@click.option("--tls-key", type=FILE, metavar="FILE", help="Private key of the certificate, as PEM")
@click.option("--tls-ca", type=FILE, metavar="FILE", help="What others have to trust, as PEM")
@click.pass_obj
def up(log: object, **given: Any) -> int:  # noqa: ANN401 - what the options above make
    """Run a lab, controller and router in one process, until SIGTERM or SIGINT.

    It prints what to do next when it is ready. Without options only this machine reaches it. Its
    certificate is made at the first start, and kept; --tls-cert and --tls-key give it another one.

    When it stops, it takes no new streams and gives those that are open a few seconds. A second
    signal ends it at once. Leases are kept, and go on at the next start.
    """
    return deferred("actions.lab_up:up")(log=log, **given)


@lab.command("add-exporter")
@click.argument("file", type=FILE)
@click.option("--name", help="Name of the exporter; by default what the file says, or is called")
@label_option("Label, by which clients select it")
@click.option("-f", "--force", is_flag=True, help="Replace the token that the file has")
@admin_options
@output_option("name")
def add_exporter(**given: Any) -> int:  # noqa: ANN401 - what the options above make
    """Make an exporter, and put its credentials into FILE, which describes its drivers.

    The rest of the file stays as it is. Afterwards only its owner may read it.
    """
    return deferred("actions.lab_exporter:add")(**given)


@lab.command("add-client")
@click.argument("name")
@label_option("Label, at which policies look")
@allow_options
@admin_options
@output_option("path", "name")
def add_client(**given: Any) -> int:  # noqa: ANN401 - what the options above make
    """Make a client, and write its file; the first one on this machine becomes the current one."""
    return deferred("actions.lab_client:add")(**given)
