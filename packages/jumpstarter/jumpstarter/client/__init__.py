"""Driver clients: what tests and authors of drivers import."""

from .base import DriverClient as DriverClient
from .client import client_from_path as client_from_path
from .flasher import FlasherClient as FlasherClient
from .flasher import FlasherClientInterface as FlasherClientInterface
