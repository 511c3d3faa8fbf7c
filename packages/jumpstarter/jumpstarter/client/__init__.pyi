from jumpstarter.client.base import DriverClient as DriverClient
from jumpstarter.client.client import client_from_path as client_from_path
from jumpstarter.client.direct import DirectLease as DirectLease
from jumpstarter.client.flasher import FlasherClient as FlasherClient
from jumpstarter.client.flasher import FlasherClientInterface as FlasherClientInterface
from jumpstarter.client.lease import Lease as Lease
