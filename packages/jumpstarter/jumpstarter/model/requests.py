"""What the metadata of a stream asks for, and the handles by which calls refer to streams.

A stream request is a JSON object under the metadata key `request`; a resource handle is a JSON
object among the arguments of a call. Unknown members are ignored, so that newer peers can add some.
"""

from functools import lru_cache
from typing import Annotated, Literal, Union
from uuid import UUID

from pydantic import BaseModel, Field, Json, TypeAdapter, ValidationError

from jumpstarter.model.frames import REQUEST_KEY


class DriverStreamRequest(BaseModel, frozen=True):
    """Open the byte stream `method` of the driver `uuid`."""

    kind: Literal["driver"] = "driver"
    uuid: UUID
    method: str


class ResourceStreamRequest(BaseModel, frozen=True):
    """Offer a byte stream to the driver `uuid`; the answer names it as a `ClientStreamResource`.

    `x_jmp_content_encoding` says how the bytes at the client's end are compressed.
    """

    kind: Literal["resource"] = "resource"
    uuid: UUID
    x_jmp_content_encoding: str | None = None


StreamRequest = Annotated[
    Union[DriverStreamRequest, ResourceStreamRequest],  # noqa: UP007 - a runtime value for pydantic
    Field(discriminator="kind"),
]


class StreamRequestMetadata(BaseModel):
    """The invocation metadata of a stream."""

    request: Json[StreamRequest]


class ClientStreamResource(BaseModel):
    """A stream that the client keeps open while the call runs; usable once."""

    kind: Literal["client_stream"] = "client_stream"
    uuid: UUID
    x_jmp_content_encoding: str | None = None


class PresignedRequestResource(BaseModel):
    """An HTTP request that the exporter makes itself, without the client's help."""

    kind: Literal["presigned_request"] = "presigned_request"
    headers: dict[str, str]
    url: str
    method: Literal["GET", "PUT"]


Resource = Annotated[
    Union[ClientStreamResource, PresignedRequestResource],  # noqa: UP007 - a runtime value for pydantic
    Field(discriminator="kind"),
]


class ResourceMetadata(BaseModel):
    """The initial metadata that answers a resource stream.

    `x_jmp_accept_encoding` is the encoding that the exporter undoes itself; release 0.9.0 sends an
    empty text where it undoes none.
    """

    resource: Json[ClientStreamResource]
    x_jmp_accept_encoding: str | None = None


_RESOURCE: TypeAdapter[ClientStreamResource | PresignedRequestResource] = TypeAdapter(Resource)

_STREAM_REQUEST: TypeAdapter[DriverStreamRequest | ResourceStreamRequest] = TypeAdapter(
    StreamRequest
)


@lru_cache(maxsize=256)
def parse_stream_request(text: str | bytes | None) -> DriverStreamRequest | ResourceStreamRequest:
    """Return the request in the metadata of a stream, None where there is no such metadata.

    Raises ValueError, whose text is one line, for what asks for no stream.
    """
    if text is None:
        message = f"the metadata has no {REQUEST_KEY!r}, which says what stream to open"
        raise ValueError(message)
    try:
        return _STREAM_REQUEST.validate_json(text)
    except ValidationError as error:
        message = f"the metadata {REQUEST_KEY!r} asks for no stream: {_problems(error)}"
        raise ValueError(message) from None


def parse_resource(handle: object) -> ClientStreamResource | PresignedRequestResource:
    """Return the resource that `handle`, an argument of a call, stands for; it may be JSON text.

    Raises ValueError, whose text is one line and holds nothing of the handle, which may be a
    secret: a signed address.
    """
    try:
        if isinstance(handle, str):
            return _RESOURCE.validate_json(handle)
        return _RESOURCE.validate_python(handle)
    except ValidationError as error:
        message = f"not the handle of a resource: {_problems(error)}"
        raise ValueError(message) from None


def _problems(error: ValidationError) -> str:
    """Return what pydantic found, in one line and without the input."""
    places = ((".".join(map(str, item["loc"])), item["msg"]) for item in error.errors())
    return "; ".join(f"{place}: {problem}" if place else problem for place, problem in places)
