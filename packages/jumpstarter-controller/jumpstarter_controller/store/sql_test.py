"""The database: what it refuses, and that a failure leaves everything as it was."""

import sqlite3
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

import anyio
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from jumpstarter.model.status import ExporterStatus
from sqlalchemy import create_engine, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection

from jumpstarter_controller.book import Settings
from jumpstarter_controller.conftest import HOUR, NAMESPACE, NOON, Lab, LabMaker, state
from jumpstarter_controller.engine import Engine
from jumpstarter_controller.errors import Closed, StoreUnavailable, WrongSchema
from jumpstarter_controller.objects import Device, Lease, PolicyRule

from . import tables
from .protocol import Change, Conflict
from .sql import SqlStore, open_store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lab.db"


def ask(path: Path, statement: str) -> list[tuple[object, ...]]:
    """Run a statement on the database, beside the engine."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


async def test_the_migrations_make_the_tables_that_are_used(path: Path) -> None:
    async with open_store(path):
        pass
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, tables.metadata) == []
        version = connection.scalar(text("select version_num from alembic_version"))
    engine.dispose()
    assert version == "0001"


async def test_what_is_written_is_on_the_disk_when_it_is_answered(path: Path) -> None:
    async with open_store(path) as store:
        settings: list[object] = []
        for pragma in ("journal_mode", "synchronous", "foreign_keys"):
            assert store.blocking is not None
            with store.blocking.connect() as connection:
                settings.append(connection.scalar(text(f"PRAGMA {pragma}")))
    assert settings == ["wal", 2, 1]


async def test_a_database_of_a_newer_release_is_refused_and_left_alone(path: Path) -> None:
    async with open_store(path):
        pass
    ask(path, "update alembic_version set version_num = '9999'")
    with pytest.raises(WrongSchema, match=r"lab\.db.*9999.*newer release"):
        async with open_store(path):
            pass
    assert ask(path, "select version_num from alembic_version") == [("9999",)]


async def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path) -> None:
    file = anyio.Path(path)
    await file.write_bytes(b"no database" * 1000)
    with pytest.raises(StoreUnavailable, match=r"lab\.db.*not a database"):
        async with open_store(path):
            pass
    assert await file.read_bytes() == b"no database" * 1000


async def test_a_directory_that_is_not_there_is_named(path: Path) -> None:
    place = path / "missing" / "lab.db"
    with pytest.raises(StoreUnavailable, match=f"{place}: No such file"):
        async with open_store(place):
            pass


async def test_the_database_is_for_its_owner_only(path: Path) -> None:
    async with open_store(path):
        files = sorted(path.parent.glob("lab.db*"))
        assert [file.name for file in files] == ["lab.db", "lab.db-shm", "lab.db-wal"]
        assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


async def test_two_live_leases_on_one_exporter_are_impossible(
    open_lab: LabMaker, path: Path
) -> None:
    async with open_lab() as lab:
        ann = await lab.client()
        await lab.exporter()
        await lab.lease(ann, "", "first", exporter_name="board")
        await lab.lease(ann, "", "second", exporter_name="board")
    steal = """update leases set exporter = 'board', effective_end = null,
        exporter_uid = (select uid from exporters) where name = 'second'"""
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        ask(path, steal)
    ask(path, "update leases set effective_end = 1 where name = 'first'")
    ask(path, steal)


async def test_everything_comes_back_as_it_was(open_lab: LabMaker) -> None:
    async with open_lab() as lab:
        engine = lab.engine
        ann = await engine.create_client(NAMESPACE, "ann", labels={"a": "b"}, username="x:ann")
        rule = PolicyRule(
            description="d",
            priority=-3,
            client_selectors=("a=b", ""),
            maximum_duration=9 * HOUR,
            spot=True,
        )
        await engine.put_policy(NAMESPACE, "p", exporter_selector="type", rules=[rule])
        board = await lab.exporter("board", type="board")
        device = Device(uuid="d", parent_uuid="root", labels={"x": "y"})
        await engine.register(board.ref, {"jumpstarter.dev/a": "b"}, [Device(uuid="root"), device])
        await engine.report_router("r", "router:1", {"zone": "a"}, 0.5)
        live = await lab.lease(
            ann,
            "type==board,!b",
            tags={"t": "v"},
            context={"c": "d"},
            begin_time=NOON - timedelta(microseconds=1),
            duration=HOUR,
        )
        waiting = await lab.lease(ann, exporter_name="board", allow_disabled=True)
        later = await lab.lease(ann, "type", begin_time=NOON + HOUR, end_time=NOON + 2 * HOUR)
        ended = await lab.release(ann, await lab.lease(ann, "type"))
        before = await everything(lab)
    async with open_lab() as lab:
        assert await everything(lab) == before
        for lease in (live, waiting, later, ended):
            assert await lab.look(lease) == lease
        assert await lab.engine.rotate("Client", NAMESPACE, "ann") == 2
        next_one = await lab.lease(ann, "type")
        assert next_one.sequence > ended.sequence


async def everything(lab: Lab) -> list[object]:
    return [
        await lab.engine.list_clients(NAMESPACE),
        await lab.engine.list_exporters(NAMESPACE),
        await lab.engine.list_leases(NAMESPACE, only_active=False),
        await lab.engine.list_leases(NAMESPACE),
        await lab.engine.list_policies(NAMESPACE),
        await lab.engine.routers(),
    ]


READ_ONLY = "PRAGMA query_only = ON"
FULL = "PRAGMA max_page_count = 1"


async def refused(order: Callable[[], Awaitable[object]]) -> None:
    with pytest.raises(StoreUnavailable):
        await order()


async def break_database(store: SqlStore, fault: str) -> Callable[[], Awaitable[None]]:
    """Make every connection from here on have a fault; return what mends that."""
    assert store.blocking is not None

    def begin(connection: DBAPIConnection, _: object) -> None:
        cursor = connection.cursor()
        cursor.execute(fault)
        cursor.close()

    async def mend() -> None:
        event.remove(store.blocking, "connect", begin)
        await store.disconnect()

    event.listen(store.blocking, "connect", begin)
    await store.disconnect()
    return mend


@pytest.mark.parametrize(("fault", "words"), [(READ_ONLY, "readonly database"), (FULL, "is full")])
async def test_a_write_that_fails_leaves_everything_as_it_was(
    lab: Lab, path: Path, fault: str, words: str
) -> None:
    ann, board = await lab.client(), await lab.exporter()
    live = await lab.lease(ann, exporter_name="board")
    waiting = await lab.lease(ann, exporter_name="board")
    before = await everything(lab)
    mend = await break_database(lab.store, fault)
    large = {f"label-{number}": "x" * 63 for number in range(400)}
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match=f"{path}: .*{words}"):
            await lab.client("ben", **large)
        # What is in one transaction with it fails with it.
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(refused, partial(lab.client, "ben", **large))
            tasks.start_soon(refused, partial(lab.release, ann, live))
            tasks.start_soon(refused, partial(lab.report, board, ExporterStatus.OFFLINE))
        assert await everything(lab) == before
    # What is due is due again, and done when the database is well.
    lab.clock.advance(HOUR)
    await lab.engine.seen(board.ref)
    with pytest.raises(StoreUnavailable):
        await lab.client("ben", **large)
    assert not (await lab.look(live)).ended
    await mend()
    await lab.wait(timedelta(seconds=1))
    assert state(await lab.look(live)) == ("Ready", False, "Expired")
    assert (await lab.look(waiting)).exporter == "board"


async def test_the_lab_goes_on_by_itself_after_the_database_failed(lab: Lab) -> None:
    ann, _ = await lab.client(), await lab.exporter()
    live = await lab.lease(ann, exporter_name="board", duration=timedelta(seconds=30))
    mend = await break_database(lab.store, READ_ONLY)
    async with lab.engine.watch_lease(NAMESPACE, live.name) as states:
        await anext(states)
        lab.clock.advance(timedelta(seconds=30))
        await anyio.wait_all_tasks_blocked()
        await mend()
        lab.clock.advance(timedelta(seconds=1))
        with anyio.fail_after(10):
            assert (await anext(states)).ended


async def test_two_engines_on_one_database_never_grant_twice(
    open_lab: LabMaker, path: Path
) -> None:
    async with (
        open_lab() as one,
        open_store(path) as store,
        Engine(store, clock=one.clock) as engine,
    ):
        two = Lab(engine, store, one.clock)
        ann = await one.client()
        boards = [await one.exporter(f"board-{number}", type="board") for number in range(5)]
        got: list[Lease] = []

        async def take(lab: Lab) -> None:
            got.append(await lab.lease(ann, "type=board"))

        async with anyio.create_task_group() as tasks:
            for lab in (one, two) * 5:
                tasks.start_soon(take, lab)
        held = [lease.exporter for lease in got if lease.exporter]
        assert sorted(held) == [board.name for board in boards]
        # News of one reach the other with its next write, and nothing is lost.
        waiting = [lease for lease in got if not lease.exporter]
        for lease in got:
            if lease.exporter:
                await two.release(ann, lease)
        await one.engine.rotate("Client", NAMESPACE, "ann")
        assert {(await one.look(lease)).exporter for lease in waiting} == set(held)


async def test_who_was_heard_stays_online_when_somebody_else_wrote(
    open_lab: LabMaker, path: Path
) -> None:
    async with open_lab(Settings(flush_after=HOUR)) as lab:
        board = await lab.exporter()
        lab.clock.advance(timedelta(seconds=50))
        await lab.engine.seen(board.ref)
        async with open_store(path) as store, Engine(store, clock=lab.clock) as other:
            await other.create_client(NAMESPACE, "ben")

        await lab.client("ann")
        lab.clock.advance(timedelta(seconds=20))
        await lab.engine.catch_up()

        assert (await lab.engine.get_exporter(NAMESPACE, "board")).online


async def test_a_commit_decided_on_an_old_revision_writes_nothing(lab: Lab) -> None:
    ann = await lab.client()
    snapshot = await lab.store.load()
    await lab.exporter()
    with pytest.raises(Conflict):
        await lab.store.commit(snapshot.revision, [Change(ann, None)])
    assert (await lab.store.load()).clients == [ann]


async def test_an_engine_that_has_ended_takes_no_orders(open_lab: LabMaker) -> None:
    async with open_lab() as lab:
        ann = await lab.client()
    with pytest.raises(Closed):
        await lab.lease(ann, "type")


async def test_what_was_ordered_before_the_end_is_done(open_lab: LabMaker) -> None:
    async with anyio.create_task_group() as tasks, open_lab() as lab:
        for number in range(20):
            tasks.start_soon(lab.client, f"client-{number}")
        await anyio.wait_all_tasks_blocked()
    async with open_lab() as lab:
        assert len(await lab.engine.list_clients(NAMESPACE)) == 20


async def test_ended_leases_are_removed_after_their_time(open_lab: LabMaker) -> None:
    settings = Settings(lease_retention=2 * HOUR)
    async with open_lab(settings) as lab:
        ann, _ = await lab.client(), await lab.exporter()
        first = await lab.release(ann, await lab.lease(ann, exporter_name="board"))
        await lab.wait(HOUR)
        second = await lab.release(ann, await lab.lease(ann, exporter_name="board"))
        live = await lab.lease(ann, exporter_name="board", duration=9 * HOUR)
    async with open_lab(settings) as lab:
        await lab.wait(HOUR - timedelta(seconds=1))
        assert await names(lab) == {first.name, second.name, live.name}
        await lab.wait(timedelta(seconds=1))
        assert await names(lab) == {second.name, live.name}
        await lab.wait(HOUR)
        assert await names(lab) == {live.name}


async def names(lab: Lab) -> set[str]:
    page = await lab.engine.list_leases(NAMESPACE, only_active=False)
    return {lease.name for lease in page.items}
