"""The calls of a client's configuration, with and without an event loop around them."""

import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import grpc
import pytest
from anyio.from_thread import BlockingPortal

from jumpstarter.client import lab as calls
from jumpstarter.client.conftest import (
    EXPORTER,
    GRANTED,
    ME,
    NAMESPACE,
    FakeLab,
    lease_message,
)
from jumpstarter.config.client import ClientConfigV1Alpha1
from jumpstarter.conftest import self_signed
from jumpstarter.model import errors
from jumpstarter.model.errors import ConfigurationError
from jumpstarter.model.selectors import SelectorError
from jumpstarter.model.status import ExporterStatus

WAITING = ("Pending", "True", "Offline", "nobody is there")


async def in_thread(work: Callable[[], Any]) -> Any:
    """Return what `work` returns in a thread without an event loop."""
    return await anyio.to_thread.run_sync(work)


async def test_leases_are_listed_page_by_page(lab: FakeLab):
    for number in range(7):
        lab.service.leases[f"l{number}"] = lease_message(f"l{number}")
    found = await lab.config.list_leases(page_size=3)
    assert [lease.name for lease in found.leases] == [f"l{number}" for number in range(7)]
    assert lab.service.calls == ["ListLeases"] * 3
    assert {request.page_size for request in lab.service.requests} == {3}
    assert all(request.only_active for request in lab.service.requests)


async def test_a_controller_that_goes_round_in_circles(
    lab: FakeLab, monkeypatch: pytest.MonkeyPatch
):
    def page(*_: object) -> tuple[list[object], str]:
        return [], "again"

    monkeypatch.setattr("jumpstarter.client.conftest._page", page)
    with pytest.raises(errors.ConnectionError, match="the controller repeats a page"):
        await lab.config.list_leases()


async def test_without_a_loop_the_answer_is_returned(lab: FakeLab):
    lab.service.leases["mine"] = lease_message("mine")
    found = await in_thread(lab.config.list_leases)
    assert [lease.name for lease in found.leases] == ["mine"]


async def test_all_calls_without_a_loop(lab: FakeLab):
    config = lab.config

    def use() -> None:
        lease = config.create_lease(timedelta(hours=1), selector="board=x", lease_id="mine")
        assert (lease.name, lease.duration) == ("mine", timedelta(hours=1))
        assert config.update_lease("mine", client="you").name == "mine"
        assert config.delete_lease("mine") is None
        assert config.get_exporter(EXPORTER).labels == {"board": "x"}
        assert [item.name for item in config.list_exporters().exporters] == [EXPORTER]
        assert config.rotate_token() == "new token"

    await in_thread(use)
    assert lab.service.deleted == ["mine"]


async def test_what_is_not_an_equality_is_compared_here(lab: FakeLab):
    for number, selector in enumerate(["board=x", "board=x,!old", "board=x,old notin (a)"]):
        lab.service.leases[str(number)] = lease_message(str(number), selector=selector)
    found = await lab.config.list_leases(filter="board=x,!old")
    assert [lease.name for lease in found.leases] == ["1"]
    assert lab.service.requests[0].filter == "board=x"
    found = await lab.config.list_leases(filter="old!=a", tag_filter="team=a", only_active=False)
    assert [lease.name for lease in found.leases] == ["2"]
    request = lab.service.requests[1]
    assert (request.filter, request.tag_filter, request.only_active) == ("", "team=a", False)


async def test_a_malformed_filter_is_refused_before_anybody_is_asked(lab: FakeLab):
    with pytest.raises(SelectorError):
        await lab.config.list_leases(filter="a in")
    assert lab.service.calls == []


async def test_exporters_with_their_leases(lab: FakeLab):
    lab.service.add_exporter("free", online=True)
    lab.service.leases["held"] = lease_message("held", GRANTED)
    lab.service.leases["waiting"] = lease_message("waiting", WAITING)
    found = await lab.config.list_exporters(include_leases=True, include_online=True)
    assert [(item.name, item.lease and item.lease.name) for item in found.exporters] == [
        (EXPORTER, "held"),
        ("free", None),
    ]
    assert (found.include_leases, found.include_online, found.include_status) == (
        True,
        True,
        False,
    )


async def test_exporters_that_are_disabled_are_left_out(lab: FakeLab):
    lab.service.add_exporter("off", enabled=False)
    found = await lab.config.list_exporters(filter="a in (b)", show_hidden_labels=True)
    assert [item.name for item in found.exporters] == [EXPORTER]
    request = lab.service.requests[0]
    assert (request.filter, request.show_hidden_labels) == ("a in (b)", True)
    found = await lab.config.list_exporters(include_disabled=True)
    assert [item.name for item in found.exporters] == [EXPORTER, "off"]


async def test_one_exporter(lab: FakeLab):
    status = ExporterStatus.LEASE_READY
    lab.service.add_exporter("it", {"a": "b"}, status=status.to_proto())
    found = await lab.config.get_exporter("it", show_hidden_labels=True)
    assert (found.namespace, found.name, found.labels) == (NAMESPACE, "it", {"a": "b"})
    assert found.status is status
    assert lab.service.requests[0].show_hidden_labels
    with pytest.raises(errors.ConnectionError, match="exporter nobody not found"):
        await lab.config.get_exporter("nobody")


async def test_a_lease_with_all_that_it_may_have(lab: FakeLab):
    begin = datetime(2026, 1, 2, 3, tzinfo=UTC)
    await lab.config.create_lease(
        timedelta(minutes=5),
        exporter_name="bench",
        begin_time=begin,
        lease_id="mine",
        tags={"team": "a"},
        allow_disabled=True,
        context={"build": "7"},
    )
    request = lab.service.requests[0]
    assert (request.parent, request.lease_id) == (f"namespaces/{NAMESPACE}", "mine")
    lease = request.lease
    assert (lease.exporter_name, dict(lease.tags), dict(lease.context)) == (
        "bench",
        {"team": "a"},
        {"build": "7"},
    )
    assert lease.begin_time.ToDatetime(tzinfo=UTC) == begin
    assert lease.allow_disabled
    assert not lease.HasField("end_time")


async def test_an_update_names_what_changes(lab: FakeLab):
    lab.service.leases["mine"] = lease_message("mine")
    begin = datetime(2026, 1, 2, 3, tzinfo=UTC)
    await lab.config.update_lease("mine", timedelta(hours=1), begin, "you")
    await lab.config.update_lease("mine", begin_time=begin)
    whole, part = lab.service.requests
    assert list(whole.update_mask.paths) == ["duration", "begin_time", "client"]
    assert whole.lease.client == f"namespaces/{NAMESPACE}/clients/you"
    assert whole.lease.duration.seconds == 3600
    assert list(part.update_mask.paths) == ["begin_time"]
    assert not part.lease.HasField("duration")


@pytest.fixture
def east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Be two hours east of Greenwich."""
    monkeypatch.setenv("TZ", "EAST-2")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("east")
async def test_a_time_without_a_zone_is_a_local_one(lab: FakeLab):
    naive = datetime(2026, 1, 2, 3)
    await lab.config.create_lease(timedelta(minutes=5), selector="a", begin_time=naive)
    sent = lab.service.requests[0].lease.begin_time.ToDatetime(tzinfo=UTC)
    assert sent == datetime(2026, 1, 2, 1, tzinfo=UTC)


async def test_a_new_token_is_used_from_then_on(lab: FakeLab):
    assert await lab.config.rotate_token() == "new token"
    await lab.config.list_leases()
    sent = [metadata["authorization"] for metadata in lab.service.metadata]
    assert sent == ["Bearer secret", "Bearer new token"]


async def test_a_token_that_is_saved_is_used_by_open_channels(lab: FakeLab, tmp_path: Path):
    path = tmp_path / "me.yaml"
    ClientConfigV1Alpha1.save(lab.config, path)
    async with calls.open_service(lab.config) as service:
        await service.ListLeases()
        renewed = ClientConfigV1Alpha1.from_file(path)
        renewed.token = "renewed"
        ClientConfigV1Alpha1.save(renewed, path)
        await service.ListLeases()
        path.unlink()
        await service.ListLeases()
    sent = [metadata["authorization"] for metadata in lab.service.metadata]
    assert sent == ["Bearer secret", "Bearer renewed", "Bearer renewed"]


async def test_options_of_the_channel_are_those_of_the_file(lab: FakeLab):
    lab.config.grpcOptions = {"grpc.max_receive_message_length": 10}
    lab.service.leases["mine"] = lease_message("mine")
    with pytest.raises(errors.ConnectionError) as caught:
        await lab.config.list_leases()
    assert isinstance(caught.value.__cause__, grpc.aio.AioRpcError)
    assert caught.value.__cause__.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("variable", [None, "JMP_GRPC_INSECURE", "JUMPSTARTER_GRPC_INSECURE"])
async def test_insecure_takes_the_certificate_that_is_shown(
    lab: FakeLab, monkeypatch: pytest.MonkeyPatch, variable: str | None
):
    lab.config.tls.ca, lab.config.tls.insecure = "", variable is None
    if variable is not None:
        monkeypatch.setenv(variable, "1")
    assert (await lab.config.list_leases()).leases == []


async def test_a_foreign_certificate_is_refused(lab: FakeLab):
    lab.config.tls = self_signed().tls
    with pytest.raises(errors.ConnectionError):
        await lab.config.list_leases()
    assert lab.service.calls == []


async def test_nobody_there():
    config = ClientConfigV1Alpha1.model_validate(
        {
            "metadata": {"namespace": NAMESPACE, "name": ME},
            "endpoint": "127.0.0.1:1",
            "token": "secret",
        }
    )
    with pytest.raises(errors.ConnectionError) as caught:
        await config.list_leases()
    assert caught.value.message.startswith("grpc error: ")
    config.tls.insecure = True
    with pytest.raises(errors.ConnectionError, match=r"cannot reach 127\.0\.0\.1:1 to read"):
        await config.list_leases()


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("endpoint", "client 'default' has no endpoint; set it to the controller's"),
        ("token", "client 'default' has no token; log in with `jmp login`"),
        ("namespace", "client 'default' has no metadata.namespace; set it"),
    ],
)
async def test_what_a_configuration_must_have(lab: FakeLab, field: str, text: str):
    holder = lab.config.metadata if field == "namespace" else lab.config
    setattr(holder, field, None)
    with pytest.raises(ConfigurationError) as caught:
        await lab.config.list_leases()
    assert caught.value.message == text
    assert lab.service.calls == []


async def test_a_lease_in_a_with(lab: FakeLab):
    def use() -> str:
        with lab.config.lease(selector="board=x", duration=timedelta(minutes=7)) as lease:
            assert lease.exporter_name == EXPORTER
            assert lab.service.deleted == []
            return lease.name

    assert lab.service.deleted == [await in_thread(use)]
    assert lab.service.requests[0].lease.duration.seconds == 420


@pytest.mark.parametrize("by_variable", [True, False])
async def test_a_lease_by_name_stays(
    lab: FakeLab, monkeypatch: pytest.MonkeyPatch, by_variable: bool
):
    lab.service.leases["mine"] = lease_message("mine", GRANTED)
    if by_variable:
        monkeypatch.setenv("JMP_LEASE", "mine")

    def use() -> str:
        with lab.config.lease(lease_name=None if by_variable else "mine") as lease:
            return lease.name

    assert await in_thread(use) == "mine"
    assert lab.service.deleted == []


async def test_a_lease_has_what_the_configuration_says(
    lab: FakeLab, monkeypatch: pytest.MonkeyPatch
):
    lab.config.leases.acquisition_timeout = 77
    lab.config.leases.retry_timeout = 88
    lab.config.drivers.allow = ["mylab.*"]
    monkeypatch.setenv("JMP_DIAL_TIMEOUT", "9")
    async with lab.config.lease_async(
        "board=x", None, None, timedelta(minutes=1), BlockingPortal()
    ) as lease:
        assert (lease.acquisition_timeout, lease.retry_timeout, lease.dial_timeout) == (77, 88, 9)
        assert (list(lease.allow), lease.unsafe) == (["mylab.*"], True)
        assert (lease.client_name, lease.namespace) == (ME, NAMESPACE)


async def test_timeouts_that_are_given_are_stronger(lab: FakeLab, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("JMP_DIAL_TIMEOUT", "9")
    monkeypatch.setenv("JMP_RETRY_TIMEOUT", "9")
    async with lab.config.lease_async(
        "board=x",
        None,
        None,
        timedelta(minutes=1),
        BlockingPortal(),
        timedelta(seconds=5),
        timedelta(0),
        dial_timeout=6,
        tags={"team": "a"},
    ) as lease:
        assert (lease.acquisition_timeout, lease.retry_timeout, lease.dial_timeout) == (5, 0, 6)
    assert dict(lab.service.requests[0].lease.tags) == {"team": "a"}


async def test_a_configuration_may_be_in_the_environment(
    lab: FakeLab, monkeypatch: pytest.MonkeyPatch
):
    for name in [name for name in os.environ if name.startswith("JMP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("JMP_NAMESPACE", NAMESPACE)
    monkeypatch.setenv("JMP_NAME", ME)
    monkeypatch.setenv("JMP_ENDPOINT", lab.address)
    monkeypatch.setenv("JMP_TOKEN", "from the environment")
    monkeypatch.setenv("JMP_GRPC_INSECURE", "1")
    await ClientConfigV1Alpha1.from_env().list_leases()
    assert lab.service.metadata[0]["authorization"] == "Bearer from the environment"
