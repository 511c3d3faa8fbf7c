"""Turns the storage library's objects into the models of `common`, which can be sent."""

from dataclasses import fields

import opendal

from .common import Capability, EntryMode, Metadata, PresignedRequest


def metadata_of(metadata: opendal.Metadata) -> Metadata:
    """Return what `metadata` says."""
    return Metadata(
        content_disposition=metadata.content_disposition,
        content_length=metadata.content_length,
        content_md5=metadata.content_md5,
        content_type=metadata.content_type,
        etag=metadata.etag,
        mode=EntryMode(entry_is_file=metadata.mode.is_file(), entry_is_dir=metadata.mode.is_dir()),
    )


def presigned_of(request: opendal.PresignedRequest) -> PresignedRequest:
    """Return what `request` says."""
    return PresignedRequest(url=request.url, method=request.method, headers=request.headers)


def capability_of(capability: opendal.Capability) -> Capability:
    """Return the flags that are known on both sides."""
    known = (item.name for item in fields(Capability))
    return Capability(
        **{name: getattr(capability, name) for name in known if hasattr(capability, name)}
    )
