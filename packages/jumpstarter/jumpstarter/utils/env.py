"""Public path of reaching the exporter of a shell; the code lives in `jumpstarter.local`."""

from jumpstarter.local import ExporterMetadata as ExporterMetadata
from jumpstarter.local import env as env
from jumpstarter.local import env_async as env_async
from jumpstarter.local import env_with_metadata as env_with_metadata
from jumpstarter.local import env_with_metadata_async as env_with_metadata_async
