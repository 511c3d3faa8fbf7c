"""Runs a lab, says what to do next, and stops when it is told to."""

import logging
import signal
from contextlib import suppress
from pathlib import Path

import anyio
import click
from jumpstarter.config.admin import AdminConfig
from jumpstarter.rpc.portal import BACKEND, LOOP_OPTIONS
from jumpstarter_controller.certificates import FilePair
from jumpstarter_controller.config import Config
from jumpstarter_controller.errors import LabError
from jumpstarter_lab import Lab, LabConfig, running_lab

from jumpstarter_cli.actions.lab_manager import tell_manager
from jumpstarter_cli.actions.lab_steps import Ready, next_steps
from jumpstarter_cli.actions.lab_up import UpOptions
from jumpstarter_cli.interrupts import heeded

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def run(given: UpOptions) -> int:
    """Run the lab until a signal; return the exit code.

    Raises ClickException, ConfigurationError or OSError, each with one line, when it cannot start.
    """
    # What it says at each start is nobody's news; what goes wrong there is raised.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        anyio.run(_serve, lab_config(given), backend=BACKEND, backend_options=dict(LOOP_OPTIONS))
    except LabError as error:
        raise click.ClickException(error.message) from error
    return 0


def lab_config(given: UpOptions) -> LabConfig:
    """Return the lab that the options mean."""
    certificate = None
    if given["tls_cert"] is not None and given["tls_key"] is not None:
        certificate = FilePair(given["tls_cert"], given["tls_key"], given["tls_ca"])
    controller = Config(
        data=given["data"] or Path(),
        namespace=given["namespace"],
        grpc=given["grpc"],
        endpoint=given["endpoint"],
        login=given["login"],
        certificate=certificate,
    )
    return LabConfig(
        controller=controller, router=given["router"], router_endpoint=given["router_endpoint"]
    )


async def _serve(config: LabConfig) -> None:
    with anyio.open_signal_receiver(*heeded(*STOPPING)) as signals:
        async with running_lab(config) as lab:
            linked = link_admin_file(lab.admin_file, AdminConfig.DEFAULT_PATH)
            click.echo(next_steps(_ready(lab, linked=linked)))
            tell_manager("READY=1")
            await anext(signals)
            # Streams may take their time to end; who will not wait sends another signal.
            for number in heeded(*STOPPING):
                signal.signal(number, signal.SIG_DFL)
            tell_manager("STOPPING=1")
            click.echo("Stopping: no new streams, and those that are open have a few seconds")


def link_admin_file(file: Path, link: Path) -> bool:
    """Let the administrator's file be found where commands look for it; return whether it is.

    Another file there stays, unless it is a link to nothing.
    """
    with suppress(OSError):
        if link.is_symlink() and not link.exists():
            link.unlink()
        link.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            link.symlink_to(file)
        return link.samefile(file)
    return False


def _ready(lab: Lab, *, linked: bool) -> Ready:
    return Ready(
        endpoint=lab.endpoint,
        router=lab.router_endpoint,
        login=lab.login,
        data=lab.controller.config.data,
        admin_file=None if linked else lab.admin_file,
    )
