"""Public path of imports by name; the code lives in `jumpstarter.plugins`."""

from jumpstarter.plugins import cached_import as cached_import
from jumpstarter.plugins import import_class as import_class
