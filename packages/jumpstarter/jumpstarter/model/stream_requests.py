"""What a client writes to open a stream, and reads in the answer; `requests` is the far side of it.

Written by hand, because a client that only makes calls has no use for pydantic, which takes long to
load. An unknown member of the answer's handle goes back to the exporter unread.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import cast
from uuid import UUID

from jumpstarter.model.errors import DriverError


@dataclass(frozen=True, slots=True)
class OfferAnswer:
    """An exporter's answer to the offer of a byte stream."""

    handle: dict[str, object]
    """What stands for the stream among the arguments of a call."""

    decompresses: bool
    """Whether the exporter undoes the compression of the offer itself."""


@lru_cache(maxsize=256)
def driver_stream_request(uuid: UUID, method: str) -> str:
    """Return the request for the byte stream `method` of the driver `uuid`."""
    return _compact({"kind": "driver", "uuid": str(uuid), "method": method})


def resource_stream_request(uuid: UUID, encoding: str | None) -> str:
    """Return the request that offers the driver `uuid` a byte stream, compressed as `encoding`."""
    return _compact({"kind": "resource", "uuid": str(uuid), "x_jmp_content_encoding": encoding})


def offer_answer(metadata: Mapping[str, str]) -> OfferAnswer:
    """Return the answer that the initial metadata of an offered stream holds.

    Release 0.9.0 names an empty encoding where it undoes none. Raises DriverError for metadata
    without a handle.
    """
    try:
        handle: object = json.loads(metadata["resource"])
    except (KeyError, ValueError):
        handle = None
    if not isinstance(handle, dict):
        message = "the exporter took the offer of a stream, but gave no handle for it"
        raise DriverError(message)
    return OfferAnswer(
        cast("dict[str, object]", handle), bool(metadata.get("x_jmp_accept_encoding"))
    )


def _compact(request: Mapping[str, str | None]) -> str:
    return json.dumps(request, separators=(",", ":"))
