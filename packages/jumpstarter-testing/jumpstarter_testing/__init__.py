"""Test the software of a device with pytest, on the device.

Tests run inside `jmp shell`, which says by JUMPSTARTER_HOST where the exporter is; nothing here
starts one.
"""

from .pytest import JumpstarterTest as JumpstarterTest
from .waiting import eventually as eventually
