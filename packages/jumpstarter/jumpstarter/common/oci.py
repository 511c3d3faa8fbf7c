"""Public path of registry credentials; the code lives in `jumpstarter.driver.oci`."""

import sys

from jumpstarter.driver import oci
from jumpstarter.driver.oci import OciCredentials as OciCredentials
from jumpstarter.driver.oci import parse_oci_registry as parse_oci_registry
from jumpstarter.driver.oci import read_auth_file_credentials as read_auth_file_credentials
from jumpstarter.driver.oci import resolve_oci_credentials as resolve_oci_credentials

# One module under both names: a test of a driver that replaces a function here replaces it for all.
sys.modules[__name__] = oci
