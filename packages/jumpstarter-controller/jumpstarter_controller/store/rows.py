"""Objects as rows of their tables, and back.

Rule: pure; what is put into a row comes out of it as it was.
"""

from dataclasses import asdict, fields
from datetime import timedelta
from typing import Any

from jumpstarter.model.status import ExporterStatus

from jumpstarter_controller.objects import (
    Client,
    Condition,
    Device,
    Exporter,
    Lease,
    Policy,
    PolicyRule,
    Router,
)

from .protocol import Stored
from .tables import EPOCH, MICROSECOND

Row = dict[str, Any]
"""A row, by the names of its columns; the types are those of the table."""


def row_of(item: Stored) -> Row:
    """Return the row of an object."""
    row: Row = {field.name: getattr(item, field.name) for field in fields(item)}
    match item:
        case Exporter():
            row["devices"] = [asdict(device) for device in item.devices]
            row["status"] = None if item.status is None else int(item.status)
        case Lease():
            row["conditions"] = [_from_condition(one) for one in item.conditions]
        case Policy():
            row["rules"] = [_from_rule(rule) for rule in item.rules]
        case _:
            pass
    return row


def client_of(row: Row) -> Client:
    """Return the client of a row."""
    return Client(**row)


def exporter_of(row: Row) -> Exporter:
    """Return the exporter of a row."""
    status = row["status"]
    changed: Row = {
        "devices": tuple(Device(**device) for device in row["devices"]),
        "status": None if status is None else ExporterStatus.from_proto(status),
    }
    return Exporter(**(row | changed))


def lease_of(row: Row) -> Lease:
    """Return the lease of a row."""
    changed: Row = {"conditions": tuple(_to_condition(one) for one in row["conditions"])}
    return Lease(**(row | changed))


def policy_of(row: Row) -> Policy:
    """Return the policy of a row."""
    changed: Row = {"rules": tuple(_to_rule(rule) for rule in row["rules"])}
    return Policy(**(row | changed))


def router_of(row: Row) -> Router:
    """Return the router of a row."""
    return Router(**row)


def _from_condition(condition: Condition) -> Row:
    time = (condition.last_transition - EPOCH) // MICROSECOND
    return {**asdict(condition), "last_transition": time}


def _to_condition(row: Row) -> Condition:
    changed: Row = {"last_transition": EPOCH + timedelta(microseconds=row["last_transition"])}
    return Condition(**(row | changed))


def _from_rule(rule: PolicyRule) -> Row:
    longest = rule.maximum_duration
    number = None if longest is None else longest // MICROSECOND
    selectors = list(rule.client_selectors)
    return {**asdict(rule), "maximum_duration": number, "client_selectors": selectors}


def _to_rule(row: Row) -> PolicyRule:
    number = row["maximum_duration"]
    changed: Row = {
        "maximum_duration": None if number is None else timedelta(microseconds=number),
        "client_selectors": tuple(row["client_selectors"]),
    }
    return PolicyRule(**(row | changed))
