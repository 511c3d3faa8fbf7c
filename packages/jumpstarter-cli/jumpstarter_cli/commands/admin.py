"""`jmp admin`: the clients, exporters, policies, leases and routers of a lab."""

import click

from jumpstarter_cli.commands.admin_change import (
    delete,
    import_,
    put,
    release,
    rotate,
    update,
)
from jumpstarter_cli.commands.admin_create import create
from jumpstarter_cli.commands.admin_get import get
from jumpstarter_cli.groups import CommandGroup


@click.group(cls=CommandGroup)
def admin() -> None:
    """Manage the clients and exporters of a lab, as its administrator.

    The administrator's file is --admin-config, else the variable JMP_ADMIN_CONFIG, else admin.yaml
    among the user's configuration files, where `jmp lab up` puts it.
    """


for command in (create, get, update, delete, import_, rotate, put, release):
    admin.add_command(command)
