"""Public path of storage devices; the code lives in `jumpstarter.driver.storage`."""

from jumpstarter.driver.storage import read_from_storage_device as read_from_storage_device
from jumpstarter.driver.storage import wait_for_storage_device as wait_for_storage_device
from jumpstarter.driver.storage import write_to_storage_device as write_to_storage_device
