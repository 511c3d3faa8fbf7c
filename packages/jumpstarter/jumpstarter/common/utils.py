"""Public path of serving and reaching drivers; the code lives in `jumpstarter.local`."""

from jumpstarter.local import ExporterMetadata as ExporterMetadata
from jumpstarter.local import env as env
from jumpstarter.local import env_with_metadata as env_with_metadata
from jumpstarter.local import launch_shell as launch_shell
from jumpstarter.local import serve as serve
from jumpstarter.local import serve_async as serve_async
from jumpstarter.shell import lease_ending_handler as lease_ending_handler
