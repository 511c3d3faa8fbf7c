"""Serves a directory with our TFTP server as an exporter does.

    python tftp_ours.py DIRECTORY HOST PORT

Logging is on, as it is in an exporter; all settings are the defaults.
"""

import logging
import sys

from jumpstarter.rpc.portal import open_portal
from jumpstarter_driver_tftp.server import TftpServer


def main() -> None:
    """Serve until the process is ended."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    directory, host, port = sys.argv[1:]
    with open_portal() as portal:
        portal.call(TftpServer(host, int(port), directory).start)


if __name__ == "__main__":
    main()
