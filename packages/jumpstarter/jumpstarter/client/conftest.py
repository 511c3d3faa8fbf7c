"""Exporters that answer as a test wants, for what a real one does seldom."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from grpc.aio import Server
from jumpstarter_protocol import jumpstarter_pb2_grpc

from jumpstarter.rpc.channels import connect, unix_target
from jumpstarter.rpc.servers import serve, unix_bind
from jumpstarter.rpc.stub import MultipathExporterStub
from jumpstarter.streams.listeners import TemporarySocket


@asynccontextmanager
async def serving(servicer: jumpstarter_pb2_grpc.ExporterServiceServicer) -> AsyncGenerator[Path]:
    """Serve `servicer` on a temporary socket and yield its path."""

    def register(server: Server) -> None:
        jumpstarter_pb2_grpc.add_ExporterServiceServicer_to_server(servicer, server)

    with TemporarySocket() as path:
        async with serve(register, [unix_bind(path)]):
            yield path


@asynccontextmanager
async def stub_of(path: Path) -> AsyncGenerator[MultipathExporterStub]:
    """Yield what calls the exporter at `path`."""
    async with connect(unix_target(path)) as channel:
        yield MultipathExporterStub([channel])
