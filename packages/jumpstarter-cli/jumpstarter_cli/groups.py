"""Groups of commands that know the short names of their commands."""

import click

ALIASES = {
    "a": ("admin",),
    "c": ("create", "client"),
    "client": ("clients",),
    "clients": ("client",),
    "cluster": ("clusters",),
    "clusters": ("cluster",),
    "conf": ("config",),
    "d": ("delete",),
    "del": ("delete",),
    "e": ("exporter", "exporters"),
    "exporter": ("exporters",),
    "exporters": ("exporter",),
    "g": ("get",),
    "i": ("import",),
    "l": ("lease", "leases"),
    "lease": ("leases",),
    "leases": ("lease",),
    "ls": ("list",),
    "policies": ("policy",),
    "routers": ("router",),
    "s": ("shell",),
    "sh": ("shell",),
    "v": ("version",),
    "ver": ("version",),
}
"""Short and other names: of each, the commands that may be meant, and the group has one of them."""


class CommandGroup(click.Group):
    """A group that accepts short names, and shows its help when it is given nothing."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of that name, or short name, or None."""
        del ctx
        names = (cmd_name, *ALIASES.get(cmd_name, ()))
        return next(filter(None, map(self.command_named, names)), None)

    def command_named(self, name: str) -> click.Command | None:
        """Return the command of exactly that name, or None."""
        return self.commands.get(name)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Show the help, and leave with the code of a usage error, when there are no arguments."""
        if not args and not ctx.resilient_parsing:
            click.echo(ctx.get_help(), err=True)
            ctx.exit(2)
        return super().parse_args(ctx, args)
