"""`jmp exporter`: what can be said of an exporter file without serving it."""

import json
from dataclasses import asdict
from pathlib import Path

import click
from jumpstarter.config.check import check_exporter_file
from jumpstarter.config.schema import exporter_json_schema
from jumpstarter.plugins import DRIVERS, installed

from jumpstarter_cli.drivers.checking import check_driver
from jumpstarter_cli.output import print_data


def check(file: Path, output: str | None) -> int:
    """Print everything that is wrong in a file; return 1 when something is."""
    if output is None:
        return report_problems(file)
    problems = check_exporter_file(file, check_driver)
    print_data({"file": str(file), "problems": [asdict(problem) for problem in problems]}, output)
    return 1 if problems else 0


def report_problems(file: Path) -> int:
    """Print a line for each thing that is wrong in a file; return 1 when something is."""
    problems = check_exporter_file(file, check_driver)
    for problem in problems:
        click.echo(problem.text(file))
    if not problems:
        click.echo(f"{file}: nothing wrong")
    return 1 if problems else 0


def schema() -> int:
    """Print the JSON Schema of exporter files, which offers the installed drivers for `type`."""
    click.echo(json.dumps(exporter_json_schema(list(installed(DRIVERS))), indent=4))
    return 0
