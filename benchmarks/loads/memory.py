"""Resident memory of a local exporter with five drivers, after each has been called once."""

import os
import tempfile
from pathlib import Path
from typing import Any

from jumpstarter.common.utils import serve
from jumpstarter_driver_composite.driver import Composite
from jumpstarter_driver_network.driver import EchoNetwork, TcpNetwork
from jumpstarter_driver_opendal.driver import Opendal
from jumpstarter_driver_power.driver import MockPower
from jumpstarter_driver_tftp.driver import Tftp
from timing import report

PAGE = os.sysconf("SC_PAGE_SIZE")


def resident_mib() -> float:
    """Return the resident set of this process (proc(5), statm)."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE / (1 << 20)


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as root:
        device = Composite(
            children={
                "power": MockPower(),
                "echo": EchoNetwork(),
                "tcp": TcpNetwork(host="127.0.0.1", port=9),
                "storage": Opendal(scheme="fs", kwargs={"root": root}),
                "tftp": Tftp(root_dir=root, host="127.0.0.1", port=0),
            }
        )
        with serve(device) as root:
            client: Any = root  # children are attributes that only the report knows
            client.power.on()
            client.tcp.address()
            list(client.storage.list("/"))
            client.tftp.get_port()
            report({"exporter_resident_mib": resident_mib()})


if __name__ == "__main__":
    main()
