"""`jmp get leases`, `jmp create lease`, `jmp update lease`, `jmp delete leases`, `jmp why`."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import TypedDict, Unpack

import click
from jumpstarter.client.lab import now_or_later, open_service
from jumpstarter.client.record_lists import LeaseList
from jumpstarter.client.records import Lease
from jumpstarter.config.client import ClientConfigV1Alpha1

from jumpstarter_cli.access import own_name, with_fresh_token
from jumpstarter_cli.actions.waiting import wait_until_granted
from jumpstarter_cli.output import print_data
from jumpstarter_cli.records import deprecated, print_record, warn_of_deprecated
from jumpstarter_cli.selection import ClientOptions, chosen_client
from jumpstarter_cli.standing import standing
from jumpstarter_cli.words import joined_selector, paired

MOST_CONTEXT, LONGEST_KEY, LONGEST_VALUE = 8, 32, 64


class ShowOptions(ClientOptions):
    """What was typed."""

    names: tuple[str, ...]
    selectors: tuple[str, ...]
    ended: bool
    all_clients: bool
    tag_filter: tuple[str, ...]
    page_size: int
    output: str | None


class CreateOptions(ClientOptions):
    """What was typed."""

    selectors: tuple[str, ...]
    exporter_name: str | None
    duration: timedelta
    begin_time: datetime | None
    lease_id: str | None
    tags: tuple[str, ...]
    allow_disabled: bool
    context: tuple[str, ...]
    wait: bool
    output: str | None


class UpdateOptions(ClientOptions):
    """What was typed."""

    name: str
    duration: timedelta | None
    begin_time: datetime | None
    to_client: str | None
    output: str | None


class DeleteOptions(ClientOptions):
    """What was typed."""

    names: tuple[str, ...]
    selectors: tuple[str, ...]
    every: bool
    all_clients: bool
    output: str | None


class WhyOptions(TypedDict):
    """What was typed."""

    client: str | None
    client_config: Path | None
    lease: str
    output: str | None


def show(**given: Unpack[ShowOptions]) -> int:
    """Print leases; raises ConnectionError when the controller does not tell them."""
    if given["names"] and (given["selectors"] or given["tag_filter"]):
        raise click.UsageError("names exclude --selector and --tag-filter")
    config = chosen_client(given["client"], given["client_config"])
    if given["names"]:
        found = _named(config, given["names"])
        print_record(found[0] if len(found) == 1 else LeaseList(leases=found), given["output"])
        return 0
    leases = _listed(
        config,
        given["selectors"],
        all_clients=given["all_clients"],
        ended=given["ended"],
        page_size=given["page_size"],
        tag_filter=joined_selector(given["tag_filter"]),
    )
    print_record(leases, given["output"])
    warn_of_deprecated(deprecated(*leases.leases))
    return 0


def create(**given: Unpack[CreateOptions]) -> int:
    """Ask for a lease and print it.

    Raises UsageError for options that do not go together, LeaseError when it cannot be had.
    """
    selector = joined_selector(given["selectors"])
    if selector is None and given["exporter_name"] is None:
        raise click.UsageError("say which exporter: --selector or --name")
    tags, context = paired(given["tags"], "--tag"), _context(given["context"])
    config = chosen_client(given["client"], given["client_config"])
    lease = with_fresh_token(
        config,
        lambda: config.create_lease(
            given["duration"],
            selector=selector,
            exporter_name=given["exporter_name"],
            begin_time=given["begin_time"],
            lease_id=given["lease_id"],
            tags=tags,
            allow_disabled=given["allow_disabled"],
            context=context,
        ),
    )
    if given["wait"]:
        lease = wait_until_granted(config, lease)
    print_record(lease, given["output"])
    warn_of_deprecated(deprecated(lease))
    return 0


def update(**given: Unpack[UpdateOptions]) -> int:
    """Change a lease and print it; raises ConnectionError when the controller refuses."""
    changes = {"--duration": "duration", "--begin-time": "begin_time", "--to-client": "to_client"}
    if all(given[key] is None for key in changes.values()):
        raise click.UsageError(f"say what to change: {', '.join(changes)}")
    config = chosen_client(given["client"], given["client_config"])
    lease = with_fresh_token(
        config,
        lambda: config.update_lease(
            given["name"],
            duration=given["duration"],
            begin_time=given["begin_time"],
            client=given["to_client"],
        ),
    )
    print_record(lease, given["output"])
    return 0


def delete(**given: Unpack[DeleteOptions]) -> int:
    """Release leases, and say which; raises ClickException when nothing matches."""
    names = list(given["names"])
    chosen = bool(given["selectors"]) or given["every"]
    if bool(names) == chosen:
        raise click.UsageError("say which leases: their names, or --selector, or --all")
    config = chosen_client(given["client"], given["client_config"])
    if not names:
        leases = _listed(config, given["selectors"], all_clients=given["all_clients"])
        leases.rich_add_names(names)
    if not names:
        raise click.ClickException("no lease matches; `jmp get leases` shows those there are")
    for name in names:
        with_fresh_token(config, lambda name=name: config.delete_lease(name))
        click.echo(name if given["output"] == "name" else f'lease "{name}" deleted')
    return 0


def why(**given: Unpack[WhyOptions]) -> int:
    """Say what a lease waits for; raises ConnectionError when there is no such lease."""
    config = chosen_client(given["client"], given["client_config"])
    (lease,) = _named(config, (given["lease"],))
    if given["output"] is None:
        click.echo("\n".join(standing(lease)))
        return 0
    data = {
        "name": lease.name,
        "status": lease.get_status(),
        "text": standing(lease),
        "conditions": [item.model_dump(mode="json") for item in lease.conditions],
        "waiting": None if lease.waiting is None else lease.waiting.model_dump(mode="json"),
    }
    print_data(data, given["output"])
    return 0


def _named(config: ClientConfigV1Alpha1, names: tuple[str, ...]) -> list[Lease]:
    async def fetch() -> list[Lease]:
        async with open_service(config) as service:
            return [await service.GetLease(name=name) for name in names]

    return with_fresh_token(config, lambda: now_or_later(fetch))  # pyright: ignore[reportReturnType] - no loop runs here


def _listed(
    config: ClientConfigV1Alpha1,
    selectors: tuple[str, ...],
    *,
    all_clients: bool,
    ended: bool = False,
    page_size: int = 100,
    tag_filter: str | None = None,
) -> LeaseList:
    """Return the leases that match: the client's own, unless those of all are wanted."""
    own = None if all_clients else own_name(config)
    found = with_fresh_token(
        config,
        lambda: config.list_leases(
            filter=joined_selector(selectors),
            only_active=not ended,
            page_size=page_size,
            tag_filter=tag_filter,
        ),
    )
    return found if own is None else found.filter_by_client(own)


def _context(given: tuple[str, ...]) -> dict[str, str]:
    context = paired(given, "--context")
    if len(context) > MOST_CONTEXT:
        raise click.UsageError(f"--context: {len(context)} are given, at most {MOST_CONTEXT} go")
    for key, value in context.items():
        if len(key) > LONGEST_KEY or len(value) > LONGEST_VALUE:
            raise click.UsageError(
                f"--context: '{key[:LONGEST_KEY]}' may have {LONGEST_KEY} characters, "
                f"and its value {LONGEST_VALUE}"
            )
    return context
