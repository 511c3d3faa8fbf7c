"""Public path of the errors; they live in `jumpstarter.model.errors`."""

from jumpstarter.model.errors import ArgumentError as ArgumentError
from jumpstarter.model.errors import ConfigurationError as ConfigurationError
from jumpstarter.model.errors import ConnectionError as ConnectionError  # noqa: A004 - its public name
from jumpstarter.model.errors import (
    EnvironmentVariableNotSetError as EnvironmentVariableNotSetError,
)
from jumpstarter.model.errors import ExporterOfflineError as ExporterOfflineError
from jumpstarter.model.errors import ExporterUnreachableError as ExporterUnreachableError
from jumpstarter.model.errors import FileNotFoundError as FileNotFoundError  # noqa: A004 - its public name
from jumpstarter.model.errors import JumpstarterException as JumpstarterException
from jumpstarter.model.errors import MissingDriverError as MissingDriverError
from jumpstarter.model.errors import ReauthenticationFailed as ReauthenticationFailed
