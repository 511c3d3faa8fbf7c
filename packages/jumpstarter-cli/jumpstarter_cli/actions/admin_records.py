"""Clients, exporters, leases and routers as administrators are shown them. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from jumpstarter.client.administered import ClientRecord, ExporterRecord, RouterRecord
from jumpstarter.client.records import Lease
from jumpstarter.config.metadata import API_VERSION

GROUP = "jumpstarter.dev"

CLIENT_COLUMNS = ("NAME", "ENDPOINT")
EXPORTER_COLUMNS = ("NAME", "STATUS", "ENDPOINT", "DEVICES", "AGE")
DEVICE_COLUMNS = ("NAME", "STATUS", "ENDPOINT", "AGE", "LABELS", "UUID")
LEASE_COLUMNS = (
    *("NAME", "CLIENT", "SELECTOR", "EXPORTER", "DURATION", "STATUS", "REASON", "BEGIN", "END"),
    "AGE",
)
ROUTER_COLUMNS = ("NAME", "ENDPOINT", "STREAMS", "ALIVE", "LABELS")

_UNITS = ((86400, "d"), (3600, "h"), (60, "m"))


def full_name(kind: str, name: str) -> str:
    """Return the name of an object as scripts read it: `client.jumpstarter.dev/ann`."""
    return f"{kind}.{GROUP}/{name}"


def client_data(client: ClientRecord, endpoint: str) -> dict[str, Any]:
    """Return a client as a document, formed as those of release 0.9.0 are."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Client",
        "metadata": _metadata(client),
        "spec": {"username": client.username},
        "status": {"endpoint": endpoint},
    }


def exporter_data(exporter: ExporterRecord, endpoint: str) -> dict[str, Any]:
    """Return an exporter as a document, formed as those of release 0.9.0 are."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Exporter",
        "metadata": _metadata(exporter),
        "spec": {"username": exporter.username, "enabled": exporter.enabled},
        "status": {
            "endpoint": endpoint,
            "online": exporter.online,
            "registered": exporter.registered,
            "exporterStatus": status_word(exporter),
            "statusMessage": exporter.status_message,
            "lastSeen": _instant(exporter.last_seen),
            "devices": [
                {
                    "uuid": device.uuid,
                    "parentUuid": device.parent_uuid,
                    "labels": device.labels,
                }
                for device in exporter.devices
            ],
        },
    }


def list_data(kind: str, items: Sequence[object]) -> dict[str, Any]:
    """Return documents as one document."""
    return {"apiVersion": API_VERSION, "kind": f"{kind}List", "items": list(items)}


def client_row(client: ClientRecord, endpoint: str) -> tuple[str, ...]:
    """Return the cells of a client."""
    return client.name, endpoint


def exporter_row(exporter: ExporterRecord, endpoint: str, now: datetime) -> tuple[str, ...]:
    """Return the cells of an exporter."""
    return (
        exporter.name,
        status_word(exporter),
        endpoint,
        str(len(exporter.devices)),
        age(now - exporter.created),
    )


def device_rows(
    exporter: ExporterRecord, endpoint: str, now: datetime
) -> Iterator[tuple[str, ...]]:
    """Yield the cells of each driver of an exporter."""
    for device in exporter.devices:
        yield (
            exporter.name,
            status_word(exporter),
            endpoint,
            age(now - exporter.created),
            pairs(device.labels),
            device.uuid,
        )


def lease_row(lease: Lease, now: datetime) -> tuple[str, ...]:
    """Return the cells of a lease."""
    last = lease.conditions[-1] if lease.conditions else None
    begin, end = lease.effective_begin_time, lease.effective_end_time
    return (
        lease.name,
        lease.client,
        lease.selector,
        lease.exporter,
        str(lease.duration),
        lease.get_status(),
        "" if last is None else last.reason,
        _local(begin or lease.begin_time),
        _local(end or lease.times.expires()),
        "" if begin is None else age(now - begin),
    )


def router_row(router: RouterRecord) -> tuple[str, ...]:
    """Return the cells of a router."""
    alive = "yes" if router.alive else "no"
    return router.name, router.endpoint, str(router.streams), alive, pairs(router.labels)


def status_word(exporter: ExporterRecord) -> str:
    """Return how an exporter is, in one word."""
    if not exporter.online or exporter.status is None:
        return "Offline" if not exporter.online else "Unknown"
    word = "".join(part.capitalize() for part in exporter.status.name.split("_"))
    return word if exporter.enabled else f"{word},Disabled"


def age(span: timedelta) -> str:
    """Return how old something is, in its largest unit: `3d`, `5h`, `12m`, `40s`."""
    seconds = max(int(span.total_seconds()), 0)
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def pairs(labels: dict[str, str]) -> str:
    """Return labels as they are typed."""
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


def changed_labels(
    labels: dict[str, str], changed: dict[str, str], removed: Iterable[str]
) -> dict[str, str]:
    """Return the labels with those of `changed` set, and those of `removed` gone."""
    gone = set(removed)
    return {key: value for key, value in (labels | changed).items() if key not in gone}


def _metadata(record: ClientRecord | ExporterRecord) -> dict[str, Any]:
    return {
        "name": record.name,
        "namespace": record.namespace,
        "uid": record.uid,
        "labels": record.labels,
        "creationTimestamp": _instant(record.created),
    }


def _instant(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat(timespec="seconds").replace("+00:00", "Z")


def _local(time: datetime | None) -> str:
    return "" if time is None else time.astimezone().strftime("%Y-%m-%d %H:%M:%S")
