"""Public path of resource handles; they live in `jumpstarter.model.requests`."""

from jumpstarter.model.requests import ClientStreamResource as ClientStreamResource
from jumpstarter.model.requests import PresignedRequestResource as PresignedRequestResource
from jumpstarter.model.requests import Resource as Resource
from jumpstarter.model.requests import ResourceMetadata as ResourceMetadata
