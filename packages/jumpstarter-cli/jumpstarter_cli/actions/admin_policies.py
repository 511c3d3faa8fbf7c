"""`jmp admin put policy`, `get policy` and `delete policy`."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Unpack

import click
from jumpstarter.client.administered import Policy, PolicyRule
from jumpstarter.client.administration import Administration
from jumpstarter.config.findings import Location
from jumpstarter.config.loading import field_keys, read_document, validated
from jumpstarter.config.problems import suggestion
from jumpstarter.model.errors import ConnectionError  # noqa: A004 - its public name
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from jumpstarter_cli.actions.admin import AdminOptions, admin_config, administer, only
from jumpstarter_cli.actions.admin_change import NameOptions
from jumpstarter_cli.actions.admin_records import age, full_name
from jumpstarter_cli.output import print_data, print_lines, print_table
from jumpstarter_cli.times import parse_span

COLUMNS = ("NAME", "EXPORTERS", "CLIENTS", "PRIORITY", "MAXIMUM", "SPOT", "DESCRIPTION")


def _span(value: object) -> object:
    return parse_span(str(value)) if isinstance(value, str | int) else value


class RuleFile(BaseModel):
    """A rule as files state it."""

    model_config = ConfigDict(extra="forbid")

    description: str = ""
    priority: int = 0
    client_selectors: list[str] = Field(default_factory=lambda: [""], min_length=1)
    maximum_duration: Annotated[timedelta | None, BeforeValidator(_span)] = None
    spot: bool = False


class PolicyFile(BaseModel):
    """A policy as files state it."""

    model_config = ConfigDict(extra="forbid")

    name: str
    exporter_selector: str = ""
    rules: list[RuleFile]


class PutOptions(AdminOptions):
    """What was typed."""

    file: Path
    output: str | None


class GetOptions(AdminOptions):
    """What was typed."""

    name: str | None
    output: str | None


def put(**given: Unpack[PutOptions]) -> int:
    """Write a policy; raises ConfigurationError for a wrong file, and as `administer`."""
    path = given["file"]
    file = validated(PolicyFile, read_document(path), path, _key_hint)
    rules = [PolicyRule.model_validate(rule.model_dump()) for rule in file.rules]

    async def work(lab: Administration) -> Policy:
        return await lab.put_policy(file.name, file.exporter_selector, rules)

    policy = administer(only(given), work)
    match given["output"]:
        case None:
            click.echo(f"{full_name('policy', policy.name)} written")
        case "name":
            click.echo(full_name("policy", policy.name))
        case form:
            print_data(_data(policy), form)
    return 0


def show(**given: Unpack[GetOptions]) -> int:
    """Show one policy, or all; raises as `administer`."""
    found = administer(only(given), Administration.list_policies)
    if given["name"] is not None:
        found = [policy for policy in found if policy.name == given["name"]]
        if not found:
            name = given["name"]
            raise ConnectionError(f"Error from server (NotFound): policy {name} not found")
    match given["output"]:
        case None:
            empty = f"No resources found in {admin_config(only(given)).namespace} namespace."
            print_table(COLUMNS, [row for item in found for row in _rows(item)], empty=empty)
        case "name":
            print_lines([full_name("policy", policy.name) for policy in found])
        case form:
            data = [_data(policy) for policy in found]
            print_data({"items": data} if given["name"] is None else data[0], form)
    return 0


def delete(**given: Unpack[NameOptions]) -> int:
    """Remove a policy; raises as `administer`."""

    async def work(lab: Administration) -> None:
        await lab.delete_policy(given["name"])

    administer(only(given), work)
    name = full_name("policy", given["name"])
    click.echo(name if given["output"] == "name" else f"{name} deleted")
    return 0


def _data(policy: Policy) -> dict[str, Any]:
    """Return a policy as its file states it, so that it can be changed and put again."""
    rules = [
        rule.model_dump(mode="json")
        | {"maximum_duration": None if limit is None else int(limit.total_seconds())}
        for rule in policy.rules
        for limit in (rule.maximum_duration,)
    ]
    return {
        "name": policy.name,
        "exporter_selector": policy.exporter_selector,
        "rules": rules,
    }


def _rows(policy: Policy) -> list[tuple[str, ...]]:
    return [
        (
            policy.name,
            policy.exporter_selector or "*",
            " or ".join(text or "*" for text in rule.client_selectors),
            str(rule.priority),
            "" if rule.maximum_duration is None else age(rule.maximum_duration),
            "yes" if rule.spot else "no",
            rule.description,
        )
        for rule in policy.rules
    ] or [(policy.name, policy.exporter_selector or "*", "", "", "", "", "")]


def _key_hint(location: Location) -> str:
    section = PolicyFile if len(location) == 1 else RuleFile
    return suggestion(str(location[-1]), list(field_keys(section)))
