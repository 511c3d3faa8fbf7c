"""Text that a driver sends its client about a stream, beside the bytes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from anyio import TypedAttributeSet, typed_attribute

from .wrapping import WrappingStream


class MetadataStreamAttributes(TypedAttributeSet):
    """Typed attributes of a stream that has something to say about itself."""

    metadata: Mapping[str, str] = typed_attribute()
    """Keys and values that go to the peer when the stream opens."""


@dataclass(kw_only=True, eq=False)
class MetadataStream(WrappingStream):
    """`stream` with `metadata` for the peer."""

    metadata: Mapping[str, str]

    @property
    def extra_attributes(self) -> Mapping[object, Callable[[], object]]:
        """The stream's attributes and the metadata."""
        return {**super().extra_attributes, **metadata_attributes(self.metadata)}


def metadata_attributes(metadata: Mapping[str, str]) -> Mapping[object, Callable[[], object]]:
    """Return what the `extra_attributes` of a stream with `metadata` add."""
    return {cast("object", MetadataStreamAttributes.metadata): lambda: metadata}
