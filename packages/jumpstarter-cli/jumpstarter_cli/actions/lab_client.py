"""`jmp lab add-client`: a client and its file, in one step."""

from typing import Unpack

import click
from jumpstarter.client.administration import Administration
from jumpstarter.config.client import ClientConfigV1Alpha1, ClientConfigV1Alpha1Drivers

from jumpstarter_cli.actions.admin import AdminOptions, admin_config, administer, only
from jumpstarter_cli.actions.admin_files import refuse_existing, write
from jumpstarter_cli.words import listed, paired


class AddOptions(AdminOptions):
    """What was typed."""

    name: str
    labels: tuple[str, ...]
    allow: tuple[str, ...]
    unsafe: bool
    output: str | None


def add(**given: Unpack[AddOptions]) -> int:
    """Make the client, and write its file; raises as `administer`.

    Raises ConfigurationError when there is such a file already; then nothing is made.
    """
    name, labels = given["name"], paired(given["labels"], "--label")
    admin_config(only(given))
    refuse_existing("client", name, None)

    async def work(lab: Administration) -> ClientConfigV1Alpha1:
        return await lab.create_client(name, labels)

    config = administer(only(given), work)
    config.drivers = ClientConfigV1Alpha1Drivers(
        allow=listed(given["allow"]), unsafe=given["unsafe"]
    )
    path = write(config, None)
    match given["output"]:
        case "path":
            click.echo(path)
        case "name":
            click.echo(name)
        case _:
            click.echo(f"client '{name}' created in {path}")
    return 0
