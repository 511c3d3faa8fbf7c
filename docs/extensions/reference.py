"""Sphinx directives that write the reference from the code.

Rule: nothing here knows a command; what the program prints with `--help` is what the page says.
"""

import importlib
from collections.abc import Iterator

import click
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

WIDTH = 96
"""Columns of a help text, so that no line of the page needs scrolling."""


def commands(command: click.Command, name: str) -> Iterator[tuple[str, str]]:
    """Yield the full name and the help text of `command` and of all commands below it."""
    context = click.Context(command, info_name=name, max_content_width=WIDTH, terminal_width=WIDTH)
    yield name, command.get_help(context)
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            if found is not None and not found.hidden:
                yield from commands(found, f"{name} {child}")


class Commands(SphinxDirective):
    """`{commands} module:attribute`: a section for each command of a click program."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        module, _, attribute = self.arguments[0].partition(":")
        program: click.Command = getattr(importlib.import_module(module), attribute)
        texts = (
            f"## `{name}`\n\n```text\n{text}\n```\n"
            for name, text in commands(program, program.name or attribute)
        )
        return self.parse_text_to_nodes("\n".join(texts), allow_section_headings=True)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the directives."""
    app.add_directive("commands", Commands)
    return {"parallel_read_safe": True}
