"""`jmp get exporters`."""

from pathlib import Path
from typing import TypedDict, Unpack

import click

from jumpstarter_cli.access import with_fresh_token
from jumpstarter_cli.records import deprecated, print_record, warn_of_deprecated
from jumpstarter_cli.selection import chosen_client
from jumpstarter_cli.words import joined_selector, listed

_EXTRA = ("leases", "online", "status")


class ShowOptions(TypedDict):
    """What was typed."""

    client: str | None
    client_config: Path | None
    selectors: tuple[str, ...]
    extra: tuple[str, ...]
    allow_disabled: bool
    show_hidden_labels: bool
    page_size: int
    output: str | None


def show(**given: Unpack[ShowOptions]) -> int:
    """Print the exporters; raises ConnectionError when the controller does not tell them."""
    extra = listed(given["extra"])
    for word in extra:
        if word not in _EXTRA:
            raise click.UsageError(f"--with: '{word}' is none of {', '.join(_EXTRA)}")
    config = chosen_client(given["client"], given["client_config"])
    found = with_fresh_token(
        config,
        lambda: config.list_exporters(
            filter=joined_selector(given["selectors"]),
            include_leases="leases" in extra,
            include_online="online" in extra,
            include_status="status" in extra,
            include_disabled=given["allow_disabled"],
            page_size=given["page_size"],
            show_hidden_labels=given["show_hidden_labels"],
        ),
    )
    print_record(found, given["output"])
    warn_of_deprecated(deprecated(*found.exporters))
    return 0
