"""The package is imported as other packages do it, and its stubs work as their types promise."""

import ast
import importlib
import pickle
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from importlib.resources import files

import grpc
import grpc.aio
import pytest
from google.protobuf.empty_pb2 import Empty
from typing_extensions import override

import jumpstarter_protocol
from jumpstarter_protocol import (
    aio,
    client_pb2,
    jumpstarter_pb2,
    jumpstarter_pb2_grpc,
    telemetry_pb2,
)

FLAT_NAMES = (
    "admin_pb2",
    "admin_pb2_grpc",
    "client_pb2",
    "client_pb2_grpc",
    "jumpstarter_pb2",
    "jumpstarter_pb2_grpc",
    "kubernetes_pb2",
    "kubernetes_pb2_grpc",
    "router_pb2",
    "router_pb2_grpc",
    "telemetry_pb2",
    "telemetry_pb2_grpc",
)

MOTD = jumpstarter_pb2.GetReportResponse(motd="hello")
RECORDS = [jumpstarter_pb2.LogStreamResponse(message=text) for text in ("one", "two")]


def names_in(stub: str) -> set[str]:
    tree = ast.parse(files(jumpstarter_protocol).joinpath(stub).read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    return {alias.asname or alias.name for node in imports for alias in node.names}


@pytest.mark.parametrize("name", FLAT_NAMES)
def test_flat_name_is_the_nested_module(name: str) -> None:
    own = name.partition("_")[0]
    package = f"{own}.v1" if own in {"admin", "client"} else "v1"
    nested = importlib.import_module(f"jumpstarter_protocol.jumpstarter.{package}.{name}")

    assert getattr(jumpstarter_protocol, name) is nested


def test_type_checkers_see_the_flat_names() -> None:
    assert names_in("__init__.pyi") == set(FLAT_NAMES)
    assert set(FLAT_NAMES) <= set(dir(jumpstarter_protocol))


def test_type_checkers_see_the_stubs_of_aio() -> None:
    assert names_in("aio.pyi") == names_in("aio.py")


def test_common_is_not_a_flat_name() -> None:
    with pytest.raises(AttributeError, match="common_pb2"):
        _ = getattr(jumpstarter_protocol, "common_pb2")  # noqa: B009 - the types know that it is not there


@pytest.mark.parametrize("unwanted", ["grpc", "google.api", "google.protobuf"])
def test_importing_the_package_imports_no_generated_code(unwanted: str) -> None:
    program = f"import sys, jumpstarter_protocol; sys.exit({unwanted!r} in sys.modules)"

    subprocess.run([sys.executable, "-c", program], check=True)


def test_telemetry_file_has_its_registered_name() -> None:
    assert telemetry_pb2.DESCRIPTOR.name == "jumpstarter/v1/telemetry.proto"


def test_message_class_is_found_by_its_module() -> None:
    lease = client_pb2.Lease(tags={"build": "7"}, context={"board": "rpi4"})

    assert pickle.loads(pickle.dumps(lease)) == lease


class Exporter(jumpstarter_pb2_grpc.ExporterServiceServicer):
    @override
    def GetReport(
        self, request: Empty, context: grpc.ServicerContext
    ) -> jumpstarter_pb2.GetReportResponse:
        return MOTD

    @override
    def LogStream(
        self, request: Empty, context: grpc.ServicerContext
    ) -> Iterator[jumpstarter_pb2.LogStreamResponse]:
        yield from RECORDS


ReportContext = grpc.aio.ServicerContext[Empty, jumpstarter_pb2.GetReportResponse]
LogContext = grpc.aio.ServicerContext[Empty, jumpstarter_pb2.LogStreamResponse]


class AsyncExporter(jumpstarter_pb2_grpc.ExporterServiceServicer):
    @override
    async def GetReport(
        self, request: Empty, context: ReportContext
    ) -> jumpstarter_pb2.GetReportResponse:
        return MOTD

    @override
    async def LogStream(
        self, request: Empty, context: LogContext
    ) -> AsyncIterator[jumpstarter_pb2.LogStreamResponse]:
        for record in RECORDS:
            yield record


@contextmanager
def exporter() -> Generator[str]:
    with ThreadPoolExecutor(max_workers=1) as pool:
        server = grpc.server(pool)
        jumpstarter_pb2_grpc.add_ExporterServiceServicer_to_server(Exporter(), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield f"127.0.0.1:{port}"
        server.stop(None).wait()


@asynccontextmanager
async def async_exporter() -> AsyncGenerator[str]:
    server = grpc.aio.server()
    jumpstarter_pb2_grpc.add_ExporterServiceServicer_to_server(AsyncExporter(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(None)


def test_stub_on_a_plain_channel() -> None:
    with exporter() as address, grpc.insecure_channel(address) as channel:
        stub = jumpstarter_pb2_grpc.ExporterServiceStub(channel)

        assert stub.GetReport(Empty()).motd == "hello"
        assert [record.message for record in stub.LogStream(Empty())] == ["one", "two"]


async def test_stub_on_an_aio_channel() -> None:
    async with async_exporter() as address, grpc.aio.insecure_channel(address) as channel:
        stub: aio.ExporterServiceAsyncStub = jumpstarter_pb2_grpc.ExporterServiceStub(channel)

        assert (await stub.GetReport(Empty())).motd == "hello"
        assert [record.message async for record in stub.LogStream(Empty())] == ["one", "two"]


async def test_method_left_out_of_a_servicer_is_unimplemented() -> None:
    async with async_exporter() as address, grpc.aio.insecure_channel(address) as channel:
        stub = jumpstarter_pb2_grpc.ExporterServiceStub(channel)

        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await stub.Reset(jumpstarter_pb2.ResetRequest())

    assert failure.value.code() is grpc.StatusCode.UNIMPLEMENTED
