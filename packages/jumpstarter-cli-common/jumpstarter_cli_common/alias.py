"""Groups that accept short names."""

from jumpstarter_cli.groups import CommandGroup as AliasedGroup

__all__ = ["AliasedGroup"]
