"""The core's library for administrators against a controller that runs."""

import base64
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from jumpstarter.client.administered import Policy, PolicyRule
from jumpstarter.client.administration import Administration, connected
from jumpstarter.client.grpc import details_of
from jumpstarter.config.admin import AdminConfig
from jumpstarter.config.client import ClientConfigV1Alpha1
from jumpstarter.model.errors import ConnectionError  # noqa: A004 - its public name
from jumpstarter.model.status import ExporterStatus

from .conftest import NAMESPACE, Site

REVOKED = "the token was revoked; a newer one was made in its place"


def admin_config(site: Site) -> AdminConfig:
    return AdminConfig.load(site.controller.config.data / "admin.yaml")


@asynccontextmanager
async def administering(site: Site) -> AsyncGenerator[Administration]:
    async with connected(admin_config(site)) as administration:
        yield administration


async def refused(config: ClientConfigV1Alpha1) -> str:
    with pytest.raises(ConnectionError) as error:
        await config.list_exporters()
    return details_of(error.value)


async def test_the_file_that_the_controller_writes_is_private(site: Site):
    config = admin_config(site)
    assert (config.metadata.namespace, config.metadata.name) == (NAMESPACE, "admin")
    assert config.endpoint == site.controller.endpoint
    assert base64.b64decode(config.tls.ca).decode() == site.controller.ca
    assert config.path is not None
    assert config.path.stat().st_mode & 0o777 == 0o600
    assert config.token not in repr(config)


async def test_a_client_can_call_until_it_is_deleted(site: Site):
    async with administering(site) as lab:
        config = await lab.create_client("ann", {"team": "a"}, username="oidc:ann")
        assert (config.alias, config.metadata.name, config.metadata.namespace) == (
            "ann",
            "ann",
            NAMESPACE,
        )
        assert (config.drivers.allow, config.drivers.unsafe) == ([], False)
        assert (await config.list_exporters()).exporters == []
        record = await lab.get_client("ann")
        assert (record.labels, record.username) == ({"team": "a"}, "oidc:ann")
        assert [item.name for item in await lab.list_clients("team=a")] == ["ann"]
        assert await lab.list_clients("team=b") == []
        assert (await lab.update_client("ann", {"team": "b"})).labels == {"team": "b"}
        await lab.delete_client("ann")
    assert await refused(config) == f"client {NAMESPACE}/ann not found"


async def test_the_administrators_variables_stay_out_of_a_clients_file(
    site: Site, monkeypatch: pytest.MonkeyPatch
):
    for name, value in {
        "JMP_REFRESH_TOKEN": "mine",
        "JMP_TOKEN": "mine",
        "JMP_NAME": "me",
        "JMP_DRIVERS_ALLOW": "UNSAFE",
        "JMP_ENDPOINT": "elsewhere:1",
    }.items():
        monkeypatch.setenv(name, value)
    async with administering(site) as lab:
        config = await lab.create_client("ann")
    assert (config.refresh_token, config.metadata.name) == (None, "ann")
    assert (config.drivers.allow, config.drivers.unsafe) == ([], False)
    assert config.endpoint == site.controller.endpoint
    assert config.token != "mine"


async def test_a_rotated_token_is_in_place_of_all_others(site: Site):
    async with administering(site) as lab:
        first = await lab.create_client("ann")
        more = await lab.fetch_credential("clients", "ann")
        second = first.model_copy(update={"token": more.token})
        await second.list_exporters()
        rotated = await lab.rotate("clients", "ann")
    assert await refused(first) == REVOKED
    assert await refused(second) == REVOKED
    third = first.model_copy(update={"token": rotated.token})
    await third.list_exporters()


async def test_a_token_that_was_rotated_is_used_as_soon_as_its_file_has_it(site: Site):
    config = admin_config(site)
    async with connected(config) as lab:
        rotated = await lab.rotate("admins", "admin")
        with pytest.raises(ConnectionError, match=r"Error from server \(Unauthorized\)"):
            await lab.list_clients()
        AdminConfig.save(config.model_copy(update={"token": rotated.token}), config.path)
        assert await lab.list_clients() == []


async def test_exporters(site: Site):
    async with administering(site) as lab:
        config = await lab.create_exporter("board", {"soc": "x"})
        assert (config.metadata.name, config.endpoint) == ("board", site.controller.endpoint)
        assert config.tls.ca
        assert config.token
        record = await lab.get_exporter("board")
        assert (record.enabled, record.online, record.registered) == (True, False, False)
        assert (record.status, record.last_seen, record.devices) == (None, None, [])
        changed = await lab.update_exporter("board", {"soc": "y"}, enabled=False)
        assert (changed.labels["soc"], changed.enabled) == ("y", False)
        assert (await lab.update_exporter("board", enabled=True)).labels["soc"] == "y"
        await lab.delete_exporter("board")
        assert await lab.list_exporters() == []


async def test_an_exporter_that_runs(site: Site):
    board = await site.new_exporter("board")
    await site.report(board, ExporterStatus.AVAILABLE, message="fine")
    async with administering(site) as lab:
        (record,) = await lab.list_exporters()
    assert (record.online, record.registered) == (True, True)
    assert (record.status, record.status_message) == (ExporterStatus.AVAILABLE, "fine")
    assert [device.uuid for device in record.devices] == ["root"]
    assert record.last_seen is not None


async def test_policies(site: Site):
    rule = PolicyRule(
        description="at night",
        priority=3,
        client_selectors=["team=a"],
        maximum_duration=timedelta(hours=1),
        spot=True,
    )
    async with administering(site) as lab:
        policy = await lab.put_policy("night", "soc=x", [rule])
        assert policy == Policy(
            namespace=NAMESPACE, name="night", exporter_selector="soc=x", rules=[rule]
        )
        assert await lab.list_policies() == [policy]
        await lab.delete_policy("night")
        assert await lab.list_policies() == []


async def test_anybodys_lease_is_released(site: Site):
    ann = await site.new_client()
    await site.new_exporter()
    lease = await site.lease(ann, tags={"job": "7"})
    async with administering(site) as lab:
        (held,) = await lab.list_leases()
        assert (held.client, held.exporter) == ("ann", "board")
        assert (await lab.get_lease(held.name)).name == held.name
        assert (await lab.release_lease(held.name)).effective_end_time is not None
        await lab.release_lease(held.name)
        assert await lab.list_leases() == []
        assert [item.name for item in await lab.list_leases(only_active=False)] == [held.name]
    assert (await site.get(ann, lease)).HasField("effective_end_time")


async def test_routers(site: Site):
    async with administering(site) as lab:
        credential = await lab.create_router("west")
        assert (credential.name, credential.endpoint) == ("west", site.controller.endpoint)
        assert credential.token not in repr(credential)
        (router,) = await lab.list_routers()
        assert (router.name, router.alive, router.endpoint) == ("west", False, "")
        await lab.delete_router("west")
        assert await lab.list_routers() == []


@pytest.mark.parametrize(
    ("name", "reason"), [("absent", "NotFound"), ("a/b", "Invalid"), ("", "Invalid")]
)
async def test_what_is_refused_says_why(site: Site, name: str, reason: str):
    async with administering(site) as lab:
        with pytest.raises(ConnectionError) as error:
            await lab.get_client(name)
    assert error.value.message.startswith(f"Error from server ({reason}): ")


async def test_what_is_there_already_says_so(site: Site):
    async with administering(site) as lab:
        await lab.create_exporter("board")
        with pytest.raises(ConnectionError) as error:
            await lab.create_exporter("board")
    assert error.value.message.startswith("Error from server (AlreadyExists): ")
    assert "board" in error.value.message
