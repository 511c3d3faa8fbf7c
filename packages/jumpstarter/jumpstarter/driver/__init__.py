"""What authors of drivers import."""

from .base import Driver as Driver
from .decorators import export as export
from .decorators import exportstream as exportstream
from .flasher import FlasherInterface as FlasherInterface
