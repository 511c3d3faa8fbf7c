"""A power strip that speaks SNMP, version 3 without authentication, for the user `lab`.

Prints its port, and after that each state that its one socket is set to.

Usage: python power_strip.py PLUG
"""

import asyncio
import sys
from importlib import import_module
from typing import Any

BASE = (1, 3, 6, 1, 4, 1, 13742, 6, 4, 1, 2, 1, 2, 1)
"""The object that holds the state of each socket, by its number."""

# The type checker does not have this library in its environment.
config: Any = import_module("pysnmp.entity.config")
engine: Any = import_module("pysnmp.entity.engine")
context: Any = import_module("pysnmp.entity.rfc3413.context")
responder: Any = import_module("pysnmp.entity.rfc3413.cmdrsp")
udp: Any = import_module("pysnmp.carrier.asyncio.dgram.udp")
v2c: Any = import_module("pysnmp.proto.api.v2c")


def say(number: int) -> None:
    """Print a number at once."""
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def socket_class(instance: Any) -> Any:  # noqa: ANN401 - a class that the library makes
    """Return the class of an object that prints what it is set to."""

    class Socket(instance):
        def writeCommit(self, varBind: Any, **options: Any) -> None:  # noqa: ANN401, N802, N803 - as in the base class
            say(int(varBind[1]))
            super().writeCommit(varBind, **options)  # pyright: ignore[reportUnknownMemberType] - a class of the library

    return Socket


def add_socket(builder: Any, plug: int) -> None:  # noqa: ANN401 - an object of the library
    """Add the socket `plug` to what can be set."""
    scalar, instance = builder.import_symbols("SNMPv2-SMI", "MibScalar", "MibScalarInstance")
    builder.export_symbols(
        "POWER-STRIP",
        scalar(BASE, v2c.Integer()).setMaxAccess("read-write"),
        socket_class(instance)(BASE, (plug,), v2c.Integer(0)).setMaxAccess("read-write"),
    )


async def main() -> None:
    """Serve until the process is ended."""
    snmp = engine.SnmpEngine()
    endpoint, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        udp.UdpAsyncioTransport, local_addr=("127.0.0.1", 0)
    )
    config.add_transport(snmp, udp.DOMAIN_NAME, protocol)
    config.add_v3_user(snmp, "lab", config.USM_AUTH_NONE, config.USM_PRIV_NONE)
    config.add_vacm_user(snmp, 3, "lab", "noAuthNoPriv", BASE, BASE)
    served = context.SnmpContext(snmp)
    add_socket(served.get_mib_instrum().get_mib_builder(), int(sys.argv[1]))
    responder.SetCommandResponder(snmp, served)
    say(endpoint.get_extra_info("sockname")[1])
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
