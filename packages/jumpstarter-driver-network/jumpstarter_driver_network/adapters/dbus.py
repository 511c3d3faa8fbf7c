"""A bus of the exporter's host, offered to the D-Bus programs of this process."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from jumpstarter.client import DriverClient
from jumpstarter.client.adapters import blocking

from jumpstarter_driver_network import buses

from .portforward import tcp_portforward


@asynccontextmanager
async def dbus_environment(*, client: DriverClient) -> AsyncGenerator[None]:
    """Point the bus variable of this process's environment to the bus behind `client`.

    The variable is that of the bus's kind; at the end it is as it was before.
    """
    variable = buses.ENVIRONMENT[client.labels[buses.KIND_LABEL]]
    async with tcp_portforward(client=client) as address:
        previous = os.environ.get(variable)
        os.environ[variable] = buses.format_tcp_bus(address[0], address[1])
        try:
            yield
        finally:
            if previous is None:
                del os.environ[variable]
            else:
                os.environ[variable] = previous


DbusAdapter = blocking(dbus_environment)
