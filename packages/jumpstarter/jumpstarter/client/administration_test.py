"""What administrators are told when nothing, or something strange, answers.

What a controller answers is tested beside the controller.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from grpc.aio import Server, ServicerContext
from jumpstarter_protocol import admin_pb2, admin_pb2_grpc, client_pb2
from typing_extensions import override

from jumpstarter.client.administration import connected
from jumpstarter.config.admin import AdminConfig
from jumpstarter.config.metadata import ObjectMeta
from jumpstarter.conftest import Certificate
from jumpstarter.model import errors
from jumpstarter.rpc.servers import Bind, serve

Context = ServicerContext[Any, Any]
PATH = "namespaces/lab/clients"


class FakeAdminService(admin_pb2_grpc.AdminServiceServicer):
    """Refuses, or says what makes no sense."""

    def __init__(self) -> None:
        self.refusal: tuple[Any, ...] = ()
        self.pages = [
            client_pb2.ListLeasesResponse(
                leases=[
                    client_pb2.Lease(name=f"namespaces/lab/leases/{name}", client=f"{PATH}/me")
                ],
                next_page_token=token,
            )
            for name, token in (("a", "1"), ("b", ""))
        ]

    @override
    async def GetClient(self, request: admin_pb2.GetClientRequest, context: Context):  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        if self.refusal:
            await context.abort(*self.refusal)
        return admin_pb2.Client(name="nonsense")

    @override
    async def ListLeases(self, request: client_pb2.ListLeasesRequest, context: Context):  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        return self.pages[int(request.page_token or 0)]


def config_of(address: str, certificate: Certificate) -> AdminConfig:
    return AdminConfig(
        metadata=ObjectMeta(namespace="lab", name="admin"),
        endpoint=address,
        tls=certificate.tls,
        token="secret",
    )


@asynccontextmanager
async def serving(certificate: Certificate, service: FakeAdminService) -> AsyncGenerator[str]:
    def register(server: Server) -> None:
        admin_pb2_grpc.add_AdminServiceServicer_to_server(service, server)

    async with serve(register, [Bind("127.0.0.1:0", certificate.server)]) as ports:
        yield f"127.0.0.1:{ports[0]}"


@pytest.mark.parametrize(
    ("refusal", "line"),
    [
        ((grpc.StatusCode.NOT_FOUND, "no x"), "Error from server (NotFound): no x"),
        ((grpc.StatusCode.UNAUTHENTICATED, "who?"), "Error from server (Unauthorized): who?"),
        ((grpc.StatusCode.DATA_LOSS, "gone"), "Error from server (DATA_LOSS): gone"),
        (
            (grpc.StatusCode.UNAVAILABLE, "disk full", (("jumpstarter-status", "UNAVAILABLE"),)),
            "Error from server (ServiceUnavailable): disk full",
        ),
        (
            (grpc.StatusCode.DEADLINE_EXCEEDED, ""),
            "the controller at {} did not answer in 60 seconds",
        ),
    ],
)
async def test_refusals_are_told_in_one_line(
    certificate: Certificate, refusal: tuple[Any, ...], line: str
):
    service = FakeAdminService()
    service.refusal = refusal
    async with (
        serving(certificate, service) as address,
        connected(config_of(address, certificate)) as lab,
    ):
        with pytest.raises(errors.ConnectionError) as error:
            await lab.get_client("x")
    assert error.value.message == line.format(address)


async def test_an_answer_that_makes_no_sense_is_refused(certificate: Certificate):
    async with (
        serving(certificate, FakeAdminService()) as address,
        connected(config_of(address, certificate)) as lab,
    ):
        with pytest.raises(errors.ControllerAnswerError, match="nonsense"):
            await lab.get_client("x")


async def test_all_pages_of_the_leases_are_read(certificate: Certificate):
    async with (
        serving(certificate, FakeAdminService()) as address,
        connected(config_of(address, certificate)) as lab,
    ):
        assert [lease.name for lease in await lab.list_leases()] == ["a", "b"]


async def test_a_controller_that_is_not_there(certificate: Certificate):
    async with serving(certificate, FakeAdminService()) as address:
        pass
    async with connected(config_of(address, certificate)) as lab:
        with pytest.raises(errors.ConnectionError) as error:
            await lab.get_client("x")
    assert error.value.message.startswith(f"cannot reach the controller at {address}: ")
