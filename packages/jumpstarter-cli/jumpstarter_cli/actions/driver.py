"""`jmp driver`: prints which drivers are installed, and what one of them takes and offers."""

import click
from jumpstarter.plugins import DRIVERS, dotted, installed

from jumpstarter_cli.drivers.description import Description, describe
from jumpstarter_cli.drivers.documentation import own_docstring, summary
from jumpstarter_cli.drivers.installed import names
from jumpstarter_cli.drivers.loading import Unusable, load_driver
from jumpstarter_cli.output import print_data, print_lines, print_table, table

NOTHING = "No drivers found."


def show_all(output: str | None) -> int:
    """Print all drivers; one that cannot be loaded says why in place of what it is."""
    if output == "name":
        print_lines(names())
        return 0
    listed = [_listed(name) for name in names()]
    if output is not None:
        print_data({"items": listed, "kind": "DriverList"}, output)
        return 0
    rows = [
        (item["name"], item["type"], item["client"], item["error"] or item["description"])
        for item in listed
    ]
    print_table(("NAME", "TYPE", "CLIENT", "DESCRIPTION"), rows, empty=NOTHING)
    return 0


def show(name: str, output: str | None) -> int:
    """Print what a driver takes and offers; raises ClickException when it cannot be used."""
    driver = load_driver(name)
    if isinstance(driver, Unusable):
        raise click.ClickException(f"Driver '{name}' {driver.reason}; {driver.hint}")
    description = describe(driver)
    if output is None:
        click.echo("\n".join(_page(description)))
    else:
        print_data(description.as_data(), output)
    return 0


def _listed(name: str) -> dict[str, str]:
    driver = load_driver(name)
    found = {"name": name, "type": dotted(installed(DRIVERS)[name])}
    if isinstance(driver, Unusable):
        return {**found, "client": "", "description": "", "error": driver.reason}
    text = summary(own_docstring(driver))
    return {**found, "client": driver.client(), "description": text, "error": ""}


def _page(driver: Description) -> list[str]:
    head = {
        "type": driver.type,
        "client": driver.client,
        "category": driver.category,
        "package": driver.package,
    }
    return [
        driver.name,
        *(f"  {key:10}{value}" for key, value in head.items() if value),
        *(["", driver.description] if driver.description else []),
        *_section(
            ("FIELD", "TYPE", "DEFAULT", "DESCRIPTION"),
            [
                (field.name, field.type_name, field.default or "(required)", field.description)
                for field in driver.fields
            ],
        ),
        *_section(
            ("METHOD", "KIND", "DESCRIPTION"),
            [
                (f"{method.name}{method.signature}", method.kind, method.description)
                for method in driver.methods
            ],
        ),
    ]


def _section(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    return ["", *table(columns, rows)] if rows else []
