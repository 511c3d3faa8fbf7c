"""What every command of an administrator begins with: reading the file, and connecting."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypedDict, TypeVar

import anyio
import click
from jumpstarter.client.administration import Administration, connected
from jumpstarter.config.admin import AdminConfig
from jumpstarter.model.errors import ConfigurationError, FileNotFoundError  # noqa: A004 - public name
from jumpstarter.rpc.portal import BACKEND, LOOP_OPTIONS

T = TypeVar("T")


class AdminOptions(TypedDict):
    """What `admin_options` makes."""

    admin_config: Path | None
    namespace: str | None
    kubeconfig: str | None
    context: str | None


def administer(given: AdminOptions, work: Callable[[Administration], Awaitable[T]]) -> T:
    """Do the work with the controller that is meant, and return its result.

    Raises UsageError for options of Kubernetes, ConfigurationError for a wrong file or namespace,
    ConnectionError when the controller is not reached or refuses.
    """
    config = admin_config(given)

    async def connect_and_work() -> T:
        async with connected(config) as lab:
            return await work(lab)

    return anyio.run(connect_and_work, backend=BACKEND, backend_options=dict(LOOP_OPTIONS))


def admin_config(given: AdminOptions) -> AdminConfig:
    """Return the administrator that is meant; raises as `administer`."""
    for option in ("kubeconfig", "context"):
        if given[option] is not None:
            raise click.UsageError(
                f"--{option}: this controller is asked directly, not through Kubernetes; "
                "name the administrator's file with --admin-config FILE"
            )
    config = load_admin(given["admin_config"])
    wanted = given["namespace"]
    if wanted is not None and wanted != config.namespace:
        raise ConfigurationError(
            f"the administrator of '{config.path}' acts in namespace '{config.namespace}' only, "
            f"not in '{wanted}'"
        )
    return config


def load_admin(path: Path | None) -> AdminConfig:
    """Return what the administrator's file says; raises ConfigurationError for a wrong one."""
    try:
        return AdminConfig.load(path)
    except FileNotFoundError:
        where = path or AdminConfig.DEFAULT_PATH
        raise FileNotFoundError(
            f"there is no administrator's file '{where}'; `jmp lab up` makes one in its data "
            "directory: name it with --admin-config FILE, or the variable JMP_ADMIN_CONFIG"
        ) from None


def only(given: AdminOptions) -> AdminOptions:
    """Return of the options of a command those of every administrator's command."""
    return AdminOptions(
        admin_config=given["admin_config"],
        namespace=given["namespace"],
        kubeconfig=given["kubeconfig"],
        context=given["context"],
    )
