"""A TFTP server for netboot, and its driver."""

from typing import Final

CHUNK_SIZE: Final = 4 << 20
"""Bytes per piece for those who move files to and from the driver's storage."""
