"""The client of the TFTP driver: starts and stops it, reaches its files, and watches it work."""

import os
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import anyio
import click
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from jumpstarter.client.prefetch import prefetch
from jumpstarter_driver_composite.client import CompositeClient
from jumpstarter_driver_opendal.client import OpendalClient

from jumpstarter_driver_tftp import storing
from jumpstarter_driver_tftp.cli import commands
from jumpstarter_driver_tftp.doctor import Attempt, Rules
from jumpstarter_driver_tftp.reports import Report, Status
from jumpstarter_driver_tftp.storing import Stored


@dataclass(kw_only=True)
class TftpServerClient(CompositeClient):
    """Controls a TFTP server; its files are the child `storage`."""

    @property
    def storage(self) -> OpendalClient:
        """The files that are served."""
        return cast("OpendalClient", self.children["storage"])

    def start(self) -> None:
        """Start to serve; returns when requests are answered.

        Raises DriverError when the port cannot be had; the text says why and what to do.
        """
        self.call("start")

    def stop(self) -> None:
        """Stop to serve; transfers that run may go on for 5 seconds."""
        self.call("stop")

    def get_host(self) -> str:
        """Return the address that devices ask."""
        return str(self.call("get_host"))

    def get_port(self) -> int:
        """Return the port that devices ask; while the server is stopped, the configured one."""
        return int(self.call("get_port"))

    def server_status(self) -> Status:
        """Return whether the server runs and where, what it does and what it is set to do."""
        return Status.from_json(self.call("status"))

    def transfers(self, *, follow: bool = True) -> Generator[Report]:
        """Yield what is known of each request, the oldest first; closing the generator ends it.

        With `follow`, while the server runs, then every change of one until the server stops.
        """
        for report in self.streamingcall("transfers", follow):
            yield Report.from_json(report)

    def put(self, path: str | os.PathLike[str], name: str | None = None) -> Stored:
        """Serve the local file `path` as `name`, by default its own name.

        It appears under its name when all of it has arrived and its SHA-256 is right. Directories
        are made. Raises OSError for the local file, DamagedError when something else arrived, and
        DriverError when the storage cannot take it.
        """
        local = Path(path)
        return storing.put(self.storage, local, local.name if name is None else name)

    def get(self, name: str, path: str | os.PathLike[str] | None = None) -> Stored:
        """Make the local file `path`, by default of the same name here, of the file `name`.

        A `path` that is a directory takes the file under its own name. Raises as `put` does.
        """
        base = name.replace("\\", "/").rpartition("/")[2]
        local = Path(base if path is None else path)
        return storing.fetch(self.storage, name, local / base if local.is_dir() else local)

    def ls(self, path: str = "") -> Generator[Stored]:
        """Yield the files below `path` with their sizes, at any depth, sorted by name."""
        return storing.files_below(self.storage, path)

    def rm(self, name: str) -> None:
        """Remove a file; raises DriverError when there is none."""
        self.storage.stat(name)
        self.storage.delete(name)

    def attempt(self, rules: Rules) -> tuple[Attempt, Generator[Report]]:
        """Watch one netboot attempt, which begins now.

        Returns what is known about it, and what each request came to as it ends; that generator
        ends when nothing more is to be expected, or when the server stops.
        """
        attempt = Attempt(rules, time.monotonic())
        return attempt, prefetch(self.portal, lambda: self._attempt_async(attempt))

    def cli(self) -> click.Group:
        """Return the commands of the server, and those of the storage."""
        base = super().cli()
        base.help = self.description or "Serve files to devices that boot from the network"
        for command in commands(self):
            base.add_command(command)
        return base

    async def _attempt_async(self, attempt: Attempt) -> AsyncGenerator[Report]:
        send, receive = anyio.create_memory_object_stream[Report](0)
        async with anyio.create_task_group() as tasks, receive:
            tasks.start_soon(self._send_reports, send)
            while not attempt.is_over(time.monotonic()):
                report = await _next_until(receive, attempt.deadline())
                if report is None:
                    break
                if attempt.take(report, time.monotonic()):
                    yield report
            tasks.cancel_scope.cancel()

    async def _send_reports(self, send: MemoryObjectSendStream[Report]) -> None:
        with send:
            async with aclosing(self.streamingcall_async("transfers")) as reports:
                async for report in reports:
                    await send.send(Report.from_json(report))


async def _next_until(
    reports: MemoryObjectReceiveStream[Report], deadline: float | None
) -> Report | None:
    """Return the next report; None when there is none, or none until the deadline."""
    seconds = None if deadline is None else max(0.0, deadline - time.monotonic())
    with anyio.move_on_after(seconds):
        try:
            return await reports.receive()
        except anyio.EndOfStream:
            return None
    return None
