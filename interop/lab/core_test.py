"""Lane core of README.md, as far as it needs no identity provider; the administrator's commands
are tested in the package of the command line.

The tests are named by the identifiers there. Those in which a client does more than ask
once run with both releases.
"""

import base64
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import anyio
import pytest
import yaml
from jumpstarter.config.client import ClientConfigV1Alpha1
from jumpstarter_controller.addresses import split_address
from jumpstarter_lab import Lab

from .bench import Bench, Exporter, User
from .releases import OURS, Release

pytestmark = pytest.mark.timeout(150)

KINDS = ("oidc", "sa", "legacy")
NOTHING = "No resources found."


@pytest.fixture(scope="module")
async def kinds(bench: Bench) -> AsyncGenerator[dict[str, Exporter]]:
    """core-17: three exporters, which become ready."""
    async with AsyncExitStack() as stack:
        made = {kind: await bench.exporter(OURS) for kind in KINDS}
        for exporter in made.values():
            await stack.enter_async_context(exporter.started())
        for exporter in made.values():
            await exporter.ready()
        yield made


@pytest.fixture
async def user(bench: Bench, caller: Release) -> User:
    return await bench.user(caller)


@pytest.fixture
async def ours(bench: Bench) -> User:
    return await bench.user(OURS)


async def asks(user: User, *words: str) -> str:
    """Run a command of the client, and return what it printed."""
    command = [user.release.jmp, *words, "--client", user.name]
    return (await user.succeeds(command, COLUMNS="200")).said


async def created(user: User, selector: str, *more: str) -> str:
    """Create a lease; return its name."""
    words = ("create", "lease", "-l", selector, "--duration", "1d", *more)
    return (await asks(user, *words, "-o", "name")).split()[-1]


async def test_core_01_login_page(lab: Lab):
    async with await anyio.connect_tcp(*split_address(lab.login or "")) as stream:
        await stream.send(b"GET / HTTP/1.0\r\n\r\n")
        page = b"".join([piece async for piece in stream]).decode()
    assert "Jumpstarter" in page
    assert "jmp login" in page


async def test_core_16_get_exporters(user: User, kinds: dict[str, Exporter]):
    said = await asks(user, "get", "exporters", "-o", "name")
    assert {exporter.name for exporter in kinds.values()} <= set(said.split())


async def test_core_18_a_client_from_the_environment(user: User, kinds: dict[str, Exporter]):
    config = ClientConfigV1Alpha1.from_file(user.bench.home.clients / f"{user.name}.yaml")
    board = kinds["oidc"].name
    words = ["--selector", f"board={board}", "--", user.release.j, "power", "on"]
    ca = user.bench.folder / "ca.pem"
    ca.write_bytes(base64.b64decode(config.tls.ca))
    await user.succeeds(
        [user.release.jmp, "shell", *words],
        JMP_NAMESPACE="default",
        JMP_NAME=user.name,
        JMP_ENDPOINT=config.endpoint or "",
        JMP_TOKEN=config.token or "",
        JMP_DRIVERS_ALLOW="*",
        JUMPSTARTER_GRPC_INSECURE="1",
    )
    await kinds["oidc"].ready()


async def test_core_19_verified_tls(ours: User, kinds: dict[str, Exporter]):
    said = await asks(ours, "get", "exporters", "-o", "yaml")
    assert kinds["legacy"].name in said


async def test_core_20_and_21_leases_by_selector(user: User, kinds: dict[str, Exporter]):
    selector = f"board={kinds['oidc'].name}"
    name = await created(user, selector)
    assert name in await asks(user, "get", "leases")
    await asks(user, "get", "exporters")
    assert selector in await asks(user, "get", "leases", "-l", selector)
    said = await asks(user, "get", "leases", "-l", "board=doesnotexist")
    assert said.strip() == NOTHING
    await asks(user, "delete", "leases", "--all")
    await kinds["oidc"].ready()


async def test_core_22_to_24_leases_by_other_selectors(ours: User, kinds: dict[str, Exporter]):
    board = f"board={kinds['sa'].name}"
    name = await created(ours, f"{board},!nonexistent")
    # For `!production`, which the lease does not state, clients of release 0.9.0 find nothing too.
    for found in (board, "!nonexistent", f"{board},!nonexistent"):
        assert name in await asks(ours, "get", "leases", "-l", found)
    for absent in (f"{board},!board", f"{board},!nonexistent,region=us"):
        assert (await asks(ours, "get", "leases", "-l", absent)).strip() == NOTHING
    await asks(ours, "delete", "leases", "--all")
    assert (await asks(ours, "get", "leases")).strip() == NOTHING
    await kinds["sa"].ready()


async def test_core_25_context(ours: User, kinds: dict[str, Exporter]):
    board = f"board={kinds['oidc'].name}"
    context = ("--context", "build_id=nightly-42", "--context", "image_digest=sha256:abc")
    words = ("create", "lease", "-l", board, "--duration", "1d", *context, "-o", "yaml")
    said = await asks(ours, *words)
    for word in ("build_id", "nightly-42", "image_digest", "sha256:abc"):
        assert word in said
    await asks(ours, "delete", "leases", "--all")
    await kinds["oidc"].ready()


async def test_core_26_pages_of_leases(ours: User, kinds: dict[str, Exporter]):
    config = ClientConfigV1Alpha1.from_file(ours.bench.home.clients / f"{ours.name}.yaml")
    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(_hold, config, f"board={kinds['oidc'].name}")
    said = await asks(ours, "get", "leases", "--page-size", "5", "-o", "name")
    assert len(said.split()) == 10
    await asks(ours, "delete", "leases", "--all")
    assert (await asks(ours, "get", "leases")).strip() == NOTHING
    await kinds["oidc"].ready()


async def _hold(config: ClientConfigV1Alpha1, selector: str) -> None:
    # Within an event loop it is a coroutine.
    creation: Any = config.create_lease(duration=timedelta(days=1), selector=selector)
    await creation


async def test_core_27_pages_of_exporters(ours: User):
    admin = ours.bench.admin
    for _ in range(10):
        await admin.create_exporter(ours.bench.named("page"), {"pagination": ours.name})
    words = ("-l", f"pagination={ours.name}", "--page-size", "5", "-o", "name")
    assert len((await asks(ours, "get", "exporters", *words)).split()) == 10


async def test_core_27b_columns_of_leases(ours: User, kinds: dict[str, Exporter]):
    await created(ours, f"board={kinds['legacy'].name}")
    said = await asks(ours, "get", "leases")
    assert "EXPIRES AT" in said
    assert "REMAINING" in said
    await asks(ours, "delete", "leases", "--all")
    await kinds["legacy"].ready()


async def test_core_27c_transfer(bench: Bench, user: User, kinds: dict[str, Exporter]):
    heir = await bench.user(user.release)
    name = await created(user, f"board={kinds['legacy'].name}")
    said = await asks(user, "update", "lease", name, "--to-client", heir.name, "-o", "yaml")
    assert heir.name in said
    await asks(heir, "delete", "leases", "--all")
    await kinds["legacy"].ready()


async def test_core_28_standard_use(bench: Bench, caller: Release, kinds: dict[str, Exporter]):
    users = [await bench.user(caller) for _ in kinds]
    async with anyio.create_task_group() as tasks:
        for user, exporter in zip(users, kinds.values(), strict=True):
            tasks.start_soon(user.succeeds, user.power(exporter.name))
    for exporter in kinds.values():
        await exporter.ready()


async def test_core_29_by_name(user: User, kinds: dict[str, Exporter]):
    name = kinds["sa"].name
    words = ("--", user.release.j, "power", "on")
    await user.succeeds(user.shell("--name", name, *words))
    await kinds["sa"].ready()
    await user.succeeds(user.shell("--name", name, "--selector", f"board={name}", *words))
    await kinds["sa"].ready()


async def test_core_30_an_exporter_that_is_not_there(user: User):
    with anyio.fail_after(20):
        words = ("--name", "test-exporter-does-not-exist", "--", "true")
        done = await user.does(user.shell(*words))
    assert done.code != 0
    assert "cannot be satisfied" in " ".join(done.said.split())


def test_files_of_clients_are_for_their_owner_only(bench: Bench):
    files = list(bench.home.clients.glob("*.yaml"))
    assert files
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert all(yaml.safe_load(file.read_text())["kind"] == "ClientConfig" for file in files)
