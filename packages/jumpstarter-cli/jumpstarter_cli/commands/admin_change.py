"""`jmp admin update`, `delete`, `import`, `rotate`, `put` and `release`."""

from typing import Any

import click

from jumpstarter_cli.commands.admin_options import (
    admin_options,
    allow_options,
    label_option,
    out_option,
)
from jumpstarter_cli.deferred import deferred
from jumpstarter_cli.groups import CommandGroup
from jumpstarter_cli.options import FILE, insecure_option, nointeractive_option, output_option

_REMOVE = click.option(
    "--remove-label", "removed", multiple=True, metavar="KEY", help="Label to remove; repeatable"
)
_DELETE = click.option("-d", "--delete", "also_file", is_flag=True, help="Delete its file here too")
_SAVE = click.option("-s", "--save", is_flag=True, help="Write the new token to its file")
_FORCE = click.option("-f", "--force", is_flag=True, help="Replace a file that is there")


@click.group(cls=CommandGroup)
def update() -> None:
    """Change clients and exporters."""


@update.command("client")
@click.argument("name")
@label_option("Label to set")
@_REMOVE
@admin_options
@output_option("json", "yaml", "name")
def update_client(**given: Any) -> int:  # noqa: ANN401 - what the options above make
    """Change the labels of a client; those that are not named stay."""
    return deferred("actions.admin_change:update_client")(**given)


@update.command("exporter")
@click.argument("name")
@label_option("Label to set")
@_REMOVE
@click.option("--enable/--disable", "enabled", default=None, help="Whether it takes new leases")
@admin_options
@output_option("json", "yaml", "name")
def update_exporter(**given: Any) -> int:  # noqa: ANN401 - what the options above make
    """Change the labels of an exporter, or whether it takes new leases; the rest stays."""
    return deferred("actions.admin_change:update_exporter")(**given)


@click.group(cls=CommandGroup)
def delete() -> None:
    """Remove clients, exporters, policies and routers."""


@delete.command("client")
@click.argument("name")
@_DELETE
@nointeractive_option
@admin_options
@output_option("name")
def delete_client(**given: Any) -> int:  # noqa: ANN401 - what the options above make
    """Remove a client; its tokens are refused from then on. Its leases stay."""
    return deferred("actions.admin_change:delete_client")(**given)


@delete.command("exporter")
@click.argument("name")
@_DELETE
@nointeractive_option
@admin_options
@output_option("name")
def delete_exporter(**given: Any) -> int:  # noqa: ANN401 - what the options above make
    """Remove an exporter and its leases; its tokens are refused from then on."""
    return deferred("actions.admin_change:delete_exporter")(**given)


@delete.command("policy")
@click.argument("name")
@admin_options
@output_option("name")
def delete_policy(**given: Any) -> int:  # noqa: ANN401 - what the options above make
    """Remove an access policy."""
    return deferred("actions.admin_policies:delete")(**given)


@delete.command("router")
@click.argument("name")
@admin_options
@output_option("name")
def delete_router(**given: Any) -> int:  # noqa: ANN401 - what the options above make
    """Remove a router; its token is refused from then on."""
    return deferred("actions.admin_routers:delete")(**given)


@click.group("import", cls=CommandGroup)
def import_() -> None:
    """Write the files of clients and exporters that there are."""


@import_.command("client")
@click.argument("name")
@out_option
@_FORCE
@allow_options
@insecure_option
@nointeractive_option
@admin_options
@output_option("path")
def import_client(**given: Any) -> int:  # noqa: ANN401 - what the options above make
    """Write the file of a client, with one more token."""
    return deferred("actions.admin_create:import_client")(**given)


@import_.command("exporter")
@click.argument("name", default="default")
@out_option
@_FORCE
@insecure_option
@nointeractive_option
@admin_options
@output_option("path")
def import_exporter(**given: Any) -> int:  # noqa: ANN401 - what the options above make
    """Write the file of an exporter, without drivers, with one more token."""
    return deferred("actions.admin_create:import_exporter")(**given)


@click.group(cls=CommandGroup)
def rotate() -> None:
    """Make new tokens; those that there were are refused from then on."""


@rotate.command("client")
@click.argument("name")
@_SAVE
@out_option
@admin_options
@output_option("name")
def rotate_client(**given: Any) -> int:  # noqa: ANN401 - what the options above make
    """Make a new token for a client."""
    return deferred("actions.admin_rotate:client")(**given)


@rotate.command("exporter")
@click.argument("name")
@_SAVE
@out_option
@admin_options
@output_option("name")
def rotate_exporter(**given: Any) -> int:  # noqa: ANN401 - what the options above make
    """Make a new token for an exporter."""
    return deferred("actions.admin_rotate:exporter")(**given)


@rotate.command("admin")
@admin_options
def rotate_admin(**given: Any) -> int:  # noqa: ANN401 - what the options above make
    """Make a new token for the administrator, and write it to the administrator's file."""
    return deferred("actions.admin_rotate:admin")(**given)


@click.group(cls=CommandGroup)
def put() -> None:
    """Write access policies."""


@put.command("policy")
@click.argument("file", type=FILE)
@admin_options
@output_option("json", "yaml", "name")
def put_policy(**given: Any) -> int:  # noqa: ANN401 - what the options above make
    """Write the access policy that FILE describes, in place of the one of that name.

    As soon as there is a policy, nothing can be leased that no policy admits. A file:

    \b
    name: night
    exporter_selector: board=x
    rules:
    - client_selectors: [team=a]
      maximum_duration: 8h
      priority: 10
    """
    return deferred("actions.admin_policies:put")(**given)


@click.group(cls=CommandGroup)
def release() -> None:
    """End leases."""


@release.command("lease")
@click.argument("name")
@admin_options
@output_option("name")
def release_lease(**given: Any) -> int:  # noqa: ANN401 - what the options above make
    """End a lease, whoever holds it."""
    return deferred("actions.admin_change:release_lease")(**given)
