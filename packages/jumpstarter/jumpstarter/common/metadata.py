"""Public path of `Metadata`; it lives in `jumpstarter.model.metadata`."""

from jumpstarter.model.metadata import Metadata as Metadata
