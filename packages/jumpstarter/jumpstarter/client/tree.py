"""From an exporter's report to a tree of driver clients.

The report names classes. One that may not be imported, or is not installed, becomes a client that
says so when it is used: the rest of the tree works.
"""

import logging
import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeGuard
from uuid import UUID

from anyio.from_thread import BlockingPortal
from jumpstarter_protocol import jumpstarter_pb2

from jumpstarter.model.errors import MissingDriverError
from jumpstarter.model.metadata import CLIENT_LABEL
from jumpstarter.model.report import Node, report_tree
from jumpstarter.plugins import import_class

from .base import DriverClient, StubDriverClient

logger = logging.getLogger(__name__)

SUPPRESS_WARNINGS = "_JMP_SUPPRESS_DRIVER_WARNINGS"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every client of a tree is given, and what decides about its class."""

    stub: Any
    portal: BlockingPortal
    stack: ExitStack
    allow: Sequence[str]
    unsafe: bool


def build_client(response: jumpstarter_pb2.GetReportResponse, around: Surroundings) -> DriverClient:
    """Return the root client of the tree that `response` reports.

    Raises ImportError for the path of no client class, ValueError for a report that is no tree, and
    whatever the module of a class raises while it loads.
    """
    return _build(report_tree(response.reports), around)


def _build(node: Node, around: Surroundings) -> DriverClient:
    children = {name: _build(child, around) for name, child in node.children.items()}
    report = node.report
    kind, reason = _client_class(report.labels.get(CLIENT_LABEL, ""), around)
    client = kind(
        uuid=UUID(report.uuid),
        labels=dict(report.labels),
        stub=around.stub,
        portal=around.portal,
        stack=around.stack.enter_context(ExitStack()),
        children=children,
        description=report.description or None,
        methods_description=dict(report.methods_description),
    )
    if reason is not None:
        client.__dict__["reason"] = reason
    return client


def _client_class(class_path: str, around: Surroundings) -> tuple[type[DriverClient], str | None]:
    """Return the class to use, and for a stand-in the reason that its errors give."""
    try:
        kind = import_class(class_path, around.allow, around.unsafe)
    except MissingDriverError as error:
        if SUPPRESS_WARNINGS not in os.environ:
            logger.warning("Driver client '%s' is not available.", class_path)
        return StubDriverClient, error.message
    if not _is_client_class(kind):
        message = f"{class_path} is not the class of a driver client"
        raise ImportError(message)
    return kind, None


def _is_client_class(thing: object) -> TypeGuard[type[DriverClient]]:
    """Return whether a name of the far side's choice stands for what may be called."""
    return isinstance(thing, type) and issubclass(thing, DriverClient)
