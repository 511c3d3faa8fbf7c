"""The names that configuration classes share, under their public path."""

from jumpstarter.config.locations import CONFIG_PATH
from jumpstarter.config.metadata import API_VERSION as CONFIG_API_VERSION
from jumpstarter.config.metadata import ObjectMeta

__all__ = ["CONFIG_API_VERSION", "CONFIG_PATH", "ObjectMeta"]
