from jumpstarter.client.base import DriverClient as DriverClient
from jumpstarter.client.client import client_from_path as client_from_path
from jumpstarter.client.flasher import FlasherClient as FlasherClient
from jumpstarter.client.flasher import FlasherClientInterface as FlasherClientInterface
