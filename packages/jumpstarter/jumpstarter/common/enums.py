"""Public path of the status enums; they live in `jumpstarter.model.status`."""

from jumpstarter.model.status import ExporterStatus as ExporterStatus
from jumpstarter.model.status import LogSource as LogSource
