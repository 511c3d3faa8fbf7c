"""Lists, pages, filters, places in the queue, and waiting for news."""

from typing import Any

import anyio
import pytest
from jumpstarter.model.status import ExporterStatus as Status

from jumpstarter_controller.conftest import HOUR, NAMESPACE, NOON, Lab, Wanted, state
from jumpstarter_controller.errors import AlreadyExists, Forbidden, InvalidRequest, NotFound
from jumpstarter_controller.objects import Ahead, LeaseChange, LeaseRequest, PolicyRule, Ref


@pytest.mark.parametrize("only_active", [True, False])
async def test_leases_come_in_pages_in_order_of_name(lab: Lab, *, only_active: bool) -> None:
    ann = await lab.client()
    await lab.exporter()
    names = [f"lease-{number:02}" for number in range(7)]
    for name in reversed(names):
        await lab.lease(ann, "", name, exporter_name="board")
    found: list[str] = []
    token, pages = "", 0
    while True:
        page = await lab.engine.list_leases(
            NAMESPACE, only_active=only_active, page_size=3, page_token=token
        )
        found += [lease.name for lease in page.items]
        token, pages = page.next_token, pages + 1
        if not token:
            break
    assert (found, pages) == (names, 3)


async def test_exporters_come_in_pages_that_outlive_what_they_name(lab: Lab) -> None:
    for name in "abcde":
        await lab.exporter(name)
    first = await lab.engine.list_exporters(NAMESPACE, page_size=2)
    assert [one.name for one in first.items] == ["a", "b"]
    await lab.engine.delete_exporter(NAMESPACE, "b")
    rest = await lab.engine.list_exporters(NAMESPACE, page_token=first.next_token)
    assert ([one.name for one in rest.items], rest.next_token) == (["c", "d", "e"], "")


@pytest.mark.parametrize("token", ["x", "====", "Og==", "YWJj", "\N{SNOWMAN}", "MTo="])
async def test_a_page_token_from_elsewhere_is_refused(lab: Lab, token: str) -> None:
    with pytest.raises(InvalidRequest, match="token"):
        await lab.engine.list_leases(NAMESPACE, page_token=token)
    with pytest.raises(InvalidRequest, match="token"):
        await lab.engine.list_exporters(NAMESPACE, page_token=token)
    with pytest.raises(InvalidRequest, match="size"):
        await lab.engine.list_exporters(NAMESPACE, page_size=-1)


async def test_leases_are_filtered_by_selector_tags_client_and_end(lab: Lab) -> None:
    ann, ben = await lab.client("ann"), await lab.client("ben")
    await lab.exporter(board="rpi", site="a")
    await lab.lease(ann, "board==rpi,site in (a)", "one", tags={"job": "1"})
    await lab.lease(ben, "board=rpi", "two", tags={"job": "2", "x": "y"})
    ended = await lab.lease(ann, "board=rpi", "three", tags={"job": "3"})
    await lab.release(ann, ended)

    async def names(**wanted: Any) -> list[str]:
        page = await lab.engine.list_leases(NAMESPACE, **wanted)
        return [lease.name for lease in page.items]

    assert await names() == ["one", "two"]
    assert await names(only_active=False) == ["one", "three", "two"]
    assert await names(selector="board=rpi") == ["one", "two"]
    assert await names(selector="site=a") == []
    assert await names(selector="metadata.jumpstarter.dev/job=2") == ["two"]
    assert await names(tag_selector="job in (1,2)") == ["one", "two"]
    assert await names(tag_selector="!x") == ["one"]
    assert await names(client="ben") == ["two"]
    assert await names(only_active=False, selector="jumpstarter.dev/lease-ended") == ["three"]
    for wanted in ({"selector": "a b"}, {"tag_selector": "="}):
        with pytest.raises(InvalidRequest, match="selector"):
            await names(**wanted)


async def test_long_lists_of_ended_leases_are_read_in_parts(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jumpstarter_controller.questions.READ_AT_ONCE", 2)
    ann = await lab.client()
    for number in range(5):
        await lab.lease(ann, "type=none", f"lease-{number}")
    page = await lab.engine.list_leases(NAMESPACE, only_active=False)
    assert len(page.items) == 5


async def test_namespaces_see_nothing_of_each_other(lab: Lab) -> None:
    ann = await lab.client()
    await lab.exporter(type="board")
    other = await lab.engine.create_client("other", "ann")
    request = LeaseRequest(selector="type=board", duration=HOUR)
    lease = await lab.engine.create_lease(other.ref, "other", request)
    assert state(lease)[2] == "NoAccess"
    with pytest.raises(Forbidden):
        await lab.engine.create_lease(other.ref, NAMESPACE, request)
    assert (await lab.lease(ann, "type=board")).exporter == "board"
    assert (await lab.engine.list_exporters("other")).items == ()
    assert (await lab.engine.list_leases("other")).items == ()


async def test_who_waits_learns_their_place_who_is_ahead_and_why(lab: Lab) -> None:
    ann, ben = await lab.client("ann"), await lab.client("ben")
    board = await lab.exporter("a", type="board")
    await lab.exporter("b", type="phone")
    live = await lab.lease(ann, "type=board")
    phone = await lab.lease(ann, "type=phone")
    first = await lab.lease(ann, "type=board")
    await lab.lease(ben, "type=phone")
    second = await lab.lease(ben, "type")
    assert lab.engine.queue(first).position == 1
    place = lab.engine.queue(second)
    assert (place.position, place.reason) == (3, "NotAvailable")
    assert place.ahead[0] == Ahead(lease=first.name, client="ann")
    assert place.holders == (
        Ahead(lease=live.name, client="ann", exporter="a", until=NOON + HOUR),
        Ahead(lease=phone.name, client="ann", exporter="b", until=NOON + HOUR),
    )
    assert lab.engine.queue(live).position == 0
    later = await lab.lease(ben, "type", begin_time=NOON + HOUR, duration=HOUR)
    assert (lab.engine.queue(later).position, lab.engine.queue(later).reason) == (0, "Scheduled")
    await lab.engine.unregister(board.ref)
    assert lab.engine.queue(await lab.look(first)).reason == "Offline"


async def test_a_higher_priority_is_ahead_of_who_came_first(lab: Lab) -> None:
    ann, ben = await lab.client("ann", vip="n"), await lab.client("ben", vip="y")
    await lab.exporter()
    rules = [
        PolicyRule(priority=1, client_selectors=("vip=n",)),
        PolicyRule(priority=2, client_selectors=("vip=y",)),
    ]
    await lab.engine.put_policy(NAMESPACE, "p", rules=rules)
    live = await lab.lease(ann, exporter_name="board")
    first = await lab.lease(ann, exporter_name="board")
    second = await lab.lease(ben, exporter_name="board")
    assert lab.engine.queue(second).position == 1
    assert lab.engine.queue(first).position == 2
    await lab.release(ann, live)
    assert (await lab.look(second)).exporter == "board"
    assert (await lab.look(first)).exporter is None


async def test_who_came_first_is_served_first_whatever_they_ask_for(lab: Lab) -> None:
    ann = await lab.client()
    await lab.exporter(type="board", site="a")
    live = await lab.lease(ann, exporter_name="board")
    selectors = ["type=board", "site=a", "type", "site in (a,b)"] * 3
    waiting = [
        await lab.lease(ann, selector, duration=(1 + number % 2) * HOUR)
        for number, selector in enumerate(selectors)
    ]
    for lease in waiting:
        await lab.release(ann, live)
        live = await lab.look(lease)
        assert live.exporter == "board"


async def test_news_of_a_lease(lab: Lab) -> None:
    ann = await lab.client()
    await lab.exporter()
    live = await lab.lease(ann, exporter_name="board")
    lease = await lab.lease(ann, exporter_name="board")
    async with lab.engine.watch_lease(NAMESPACE, lease.name) as states:
        assert await anext(states) == lease
        await lab.release(ann, live)
        assert (await anext(states)).exporter == "board"
        await lab.engine.update_lease(
            ann.ref, NAMESPACE, lease.name, LeaseChange(duration=2 * HOUR)
        )
        assert (await anext(states)).duration == 2 * HOUR
        await lab.wait(2 * HOUR)
        assert (await anext(states)).ended
        with anyio.fail_after(5), pytest.raises(StopAsyncIteration):
            await anext(states)


async def test_news_of_a_lease_end_with_its_removal(lab: Lab) -> None:
    ann = await lab.client()
    await lab.exporter()
    lease = await lab.lease(ann, exporter_name="board")
    async with lab.engine.watch_lease(NAMESPACE, lease.name) as states:
        assert await anext(states) == lease
        await lab.engine.delete_exporter(NAMESPACE, "board")
        with anyio.fail_after(5), pytest.raises(StopAsyncIteration):
            await anext(states)
    with pytest.raises(NotFound):
        async with lab.engine.watch_lease(NAMESPACE, lease.name):
            pass


async def test_the_name_of_a_lease_is_taken_for_as_long_as_it_is_kept(lab: Lab) -> None:
    ann = await lab.client()
    await lab.exporter()
    await lab.lease(ann, "", "mine", exporter_name="board")
    with pytest.raises(AlreadyExists, match="mine"):
        await lab.lease(ann, "", "mine", exporter_name="board")
    await lab.engine.release_lease(ann.ref, NAMESPACE, "mine")
    with pytest.raises(AlreadyExists, match="mine"):
        await lab.lease(ann, "", "mine", exporter_name="board")
    errors = 0
    async with anyio.create_task_group() as tasks:

        async def both() -> None:
            nonlocal errors
            try:
                await lab.lease(ann, "type=none", "same")
            except AlreadyExists:
                errors += 1

        tasks.start_soon(both)
        tasks.start_soon(both)
    assert errors == 1


async def test_a_new_lease_has_a_name_that_tells_its_time(lab: Lab) -> None:
    ann = await lab.client()
    lease = await lab.lease(ann, "type")
    assert lease.name[14] == "7"
    assert int(lease.name.replace("-", "")[:12], 16) == NOON.timestamp() * 1000


@pytest.mark.parametrize("name", ["", "A", "a_b", "-a", "a" * 254, "a/b", "a b", "a."])
async def test_names_that_are_none_are_refused(lab: Lab, name: str) -> None:
    with pytest.raises(InvalidRequest, match="name"):
        await lab.client(name)
    with pytest.raises(InvalidRequest, match="name"):
        await lab.engine.create_exporter(NAMESPACE, name)
    ann = await lab.client()
    if name:
        with pytest.raises(InvalidRequest, match="name"):
            await lab.lease(ann, "type", name)


@pytest.mark.parametrize(
    "wanted",
    [
        {"tags": {f"t{number}": "" for number in range(11)}},
        {"tags": {"a/b": ""}},
        {"tags": {"": ""}},
        {"tags": {"a" * 64: ""}},
        {"tags": {"a": "b" * 64}},
        {"tags": {"a": "b c"}},
        {"tags": {"jumpstarter.dev": "x"}},
        {"tags": {"metadata.jumpstarter.dev": "x"}},
        {"context": {f"c{number}": "" for number in range(9)}},
        {"context": {"a" * 33: ""}},
        {"context": {"": ""}},
        {"context": {"a": "b" * 65}},
        {"selector": "a=b,a=c"},
        {"selector": "a>1"},
        {"selector": "a in ("},
    ],
)
async def test_requests_that_are_wrong_are_refused(lab: Lab, wanted: Wanted) -> None:
    ann = await lab.client()
    await lab.exporter()
    with pytest.raises(InvalidRequest):
        await lab.lease(ann, exporter_name="board", **wanted)
    assert (await lab.engine.list_leases(NAMESPACE, only_active=False)).items == ()


@pytest.mark.parametrize(
    ("selector", "canonical"),
    [
        ("b=1,a==2", "a=2,b=1"),
        ("a!=1", "a notin (1)"),
        ("a!=2,a!=1", "a notin (1,2)"),
        ("b in (z,y,z),!c,a", "a,b in (y,z),!c"),
        ("a=1,a=1", "a=1"),
        (" a = 1 , b ", "a=1,b"),
    ],
)
async def test_a_selector_is_kept_in_one_spelling(lab: Lab, selector: str, canonical: str) -> None:
    ann = await lab.client()
    assert (await lab.lease(ann, selector)).selector == canonical


async def test_only_clients_of_the_namespace_may_lease(lab: Lab) -> None:
    board = await lab.exporter()
    request = LeaseRequest(selector="type", duration=HOUR)
    admin = Ref(kind="Admin", namespace=NAMESPACE, name="root", uid="")
    for caller in (board.ref, admin):
        with pytest.raises(Forbidden):
            await lab.engine.create_lease(caller, NAMESPACE, request)


async def test_the_administrator_releases_anybodys_lease(lab: Lab) -> None:
    ann = await lab.client()
    await lab.exporter()
    lease = await lab.lease(ann, exporter_name="board")
    admin = Ref(kind="Admin", namespace="", name="root", uid="")
    released = await lab.engine.release_lease(admin, NAMESPACE, lease.name)
    assert state(released)[2] == "Released"


async def test_a_deleted_client_keeps_what_it_has_and_waits_no_more(lab: Lab) -> None:
    ann = await lab.client()
    await lab.exporter()
    live = await lab.lease(ann, exporter_name="board")
    waiting = await lab.lease(ann, exporter_name="board")
    await lab.engine.delete_client(NAMESPACE, "ann")
    assert await lab.look(live) == live
    assert state(await lab.look(waiting))[2] == "Released"
    with pytest.raises(NotFound):
        await lab.lease(ann, exporter_name="board")


async def test_rotation_makes_a_new_generation(lab: Lab) -> None:
    ann, board = await lab.client(), await lab.exporter()
    assert ann.token_generation == 1
    assert await lab.engine.rotate("Client", NAMESPACE, "ann") == 2
    assert await lab.engine.rotate("Exporter", NAMESPACE, board.name) == 2
    assert (await lab.engine.find("Client", NAMESPACE, "ann")).token_generation == 2
    with pytest.raises(NotFound):
        await lab.engine.rotate("Client", NAMESPACE, "board")


async def test_names_are_taken_once_per_kind(lab: Lab) -> None:
    await lab.client("same")
    await lab.exporter("same")
    with pytest.raises(AlreadyExists):
        await lab.client("same")
    with pytest.raises(AlreadyExists):
        await lab.exporter("same")


async def test_labels_decide_again_when_they_change(lab: Lab) -> None:
    ann = await lab.client(team="a")
    await lab.exporter("a", type="phone")
    away = await lab.exporter("b", None, type="board")
    lease = await lab.lease(ann, "type=board")
    assert state(lease)[2] == "Offline"
    await lab.engine.set_exporter(NAMESPACE, "a", labels={"type": "board"})
    assert (await lab.look(lease)).exporter == "a"
    second = await lab.lease(ann, "type=board")
    rule = PolicyRule(client_selectors=("team=b",))
    await lab.engine.put_policy(NAMESPACE, "p", rules=[rule])
    assert state(await lab.look(second)) == ("Unsatisfiable", True, "NoAccess")
    assert not (await lab.look(lease)).ended
    await lab.engine.set_client(NAMESPACE, "ann", labels={"team": "b"})
    third = await lab.lease(ann, "type=board")
    await lab.report(away, Status.AVAILABLE)
    assert (await lab.look(third)).exporter == "b"
    await lab.engine.delete_policy(NAMESPACE, "p")
    with pytest.raises(NotFound):
        await lab.engine.delete_policy(NAMESPACE, "p")


async def test_routers_that_are_alive_come_least_loaded_first(lab: Lab) -> None:
    await lab.engine.report_router("a", "a:1", {}, 0.5)
    await lab.engine.report_router("b", "b:1", {"zone": "x"}, 0.25)
    assert [one.name for one in await lab.engine.routers()] == ["b", "a"]
    await lab.engine.report_router("b", "b:1", {"zone": "x"}, 0.75)
    assert [one.name for one in await lab.engine.routers()] == ["a", "b"]
    await lab.wait(lab.engine.settings.router_timeout / 2)
    await lab.engine.report_router("b", "b:1", {"zone": "x"}, 0.75)
    await lab.wait(lab.engine.settings.router_timeout)
    assert [one.name for one in await lab.engine.routers()] == ["b"]
    await lab.engine.forget_router("b")
    assert await lab.engine.routers() == []
    with pytest.raises(InvalidRequest):
        await lab.engine.report_router("c", "", {}, 0)
