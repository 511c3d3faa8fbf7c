"""`jmp admin get client`, `exporter` and `lease`."""

from datetime import UTC, datetime
from typing import Unpack

from jumpstarter.client.administration import Administration
from jumpstarter.client.records import Lease

from jumpstarter_cli.actions.admin import AdminOptions, admin_config, administer, only
from jumpstarter_cli.actions.admin_records import (
    CLIENT_COLUMNS,
    DEVICE_COLUMNS,
    EXPORTER_COLUMNS,
    LEASE_COLUMNS,
    client_data,
    client_row,
    device_rows,
    exporter_data,
    exporter_row,
    full_name,
    lease_row,
    list_data,
)
from jumpstarter_cli.output import print_data, print_lines, print_table
from jumpstarter_cli.words import joined_selector


class GetOptions(AdminOptions):
    """What was typed."""

    name: str | None
    selectors: tuple[str, ...]
    output: str | None


class ExporterOptions(GetOptions):
    """What was typed about exporters."""

    devices: bool


class LeaseOptions(GetOptions):
    """What was typed about leases."""

    include_ended: bool


def clients(**given: Unpack[GetOptions]) -> int:
    """Show one client, or all; raises as `administer`."""
    name, endpoint = given["name"], _endpoint(given)

    async def work(lab: Administration):  # noqa: ANN202 - as below
        if name is not None:
            return [await lab.get_client(name)]
        return await lab.list_clients(_selector(given))

    found = administer(only(given), work)
    match given["output"]:
        case None:
            rows = [client_row(item, endpoint) for item in found]
            print_table(CLIENT_COLUMNS, rows, empty=_nothing(given))
        case "name":
            print_lines([full_name("client", item.name) for item in found])
        case form:
            _print_data("Client", [client_data(item, endpoint) for item in found], given, form)
    return 0


def exporters(**given: Unpack[ExporterOptions]) -> int:
    """Show one exporter, or all; raises as `administer`."""
    name, endpoint, now = given["name"], _endpoint(given), datetime.now(UTC)

    async def work(lab: Administration):  # noqa: ANN202 - as below
        if name is not None:
            return [await lab.get_exporter(name)]
        return await lab.list_exporters(_selector(given))

    found = administer(only(given), work)
    match given["output"]:
        case None if given["devices"]:
            rows = [row for item in found for row in device_rows(item, endpoint, now)]
            print_table(DEVICE_COLUMNS, rows, empty=_nothing(given))
        case None:
            rows = [exporter_row(item, endpoint, now) for item in found]
            print_table(EXPORTER_COLUMNS, rows, empty=_nothing(given))
        case "name":
            print_lines([full_name("exporter", item.name) for item in found])
        case form:
            _print_data("Exporter", [exporter_data(item, endpoint) for item in found], given, form)
    return 0


def leases(**given: Unpack[LeaseOptions]) -> int:
    """Show one lease, or everybody's; raises as `administer`."""
    name = given["name"]

    async def work(lab: Administration) -> list[Lease]:
        if name is not None:
            return [await lab.get_lease(name)]
        return await lab.list_leases(_selector(given), only_active=not given["include_ended"])

    found = administer(only(given), work)
    match given["output"]:
        case None:
            now = datetime.now(UTC)
            rows = [lease_row(item, now) for item in found]
            print_table(LEASE_COLUMNS, rows, empty=_nothing(given))
        case "name":
            print_lines([full_name("lease", item.name) for item in found])
        case form:
            _print_data("Lease", [item.model_dump(mode="json") for item in found], given, form)
    return 0


def _print_data(kind: str, items: list[dict[str, object]], given: GetOptions, form: str) -> None:
    print_data(list_data(kind, items) if given["name"] is None else items[0], form)


def _endpoint(given: GetOptions) -> str:
    return admin_config(only(given)).endpoint


def _selector(given: GetOptions) -> str:
    return joined_selector(given["selectors"]) or ""


def _nothing(given: GetOptions) -> str:
    return f"No resources found in {admin_config(only(given)).namespace} namespace."
