"""Waits for a lease, and tells the one who waits for what: each change is a line."""

from contextlib import aclosing

import anyio
import click
from jumpstarter.client.acquisition import FIRST_POLL_S, LONGEST_POLL_S
from jumpstarter.client.following import LeaseFollower
from jumpstarter.client.lab import open_service
from jumpstarter.client.records import Lease
from jumpstarter.config.client import ClientConfigV1Alpha1
from jumpstarter.model.errors import LeaseEndedError, LeaseError
from jumpstarter.model.lease_progress import Standing
from jumpstarter.rpc.portal import BACKEND, LOOP_OPTIONS

from jumpstarter_cli.standing import place


def wait_until_granted(config: ClientConfigV1Alpha1, lease: Lease) -> Lease:
    """Return the lease once it is granted, and tell on standard error what it waits for.

    Raises LeaseError when it never will be, ConnectionError when the controller will not say.
    """
    try:
        return anyio.run(_wait, config, lease, backend=BACKEND, backend_options=dict(LOOP_OPTIONS))
    except KeyboardInterrupt:
        click.echo(
            f"lease {lease.name} goes on waiting; `jmp delete leases {lease.name}` gives it up",
            err=True,
        )
        raise


async def _wait(config: ClientConfigV1Alpha1, lease: Lease) -> Lease:
    told = ""
    async with open_service(config) as service:
        follower = LeaseFollower(service, lease.name, FIRST_POLL_S, LONGEST_POLL_S)
        async with aclosing(follower.states()) as states:
            async for state in states:
                if state.verdict.standing is not Standing.WAITING:
                    return _granted(state)
                if (text := place(state)) != told:
                    click.echo(f"lease {lease.name}: {text}", err=True)
                    told = text
    raise LeaseEndedError(f"lease {lease.name} has ended")


def _granted(lease: Lease) -> Lease:
    match lease.verdict.standing:
        case Standing.GRANTED:
            return lease
        case Standing.ENDED:
            raise LeaseEndedError(lease.verdict.text)
        case _:
            raise LeaseError(lease.verdict.text)
