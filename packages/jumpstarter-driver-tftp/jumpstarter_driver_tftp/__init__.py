"""A TFTP server for netboot, and its driver."""
