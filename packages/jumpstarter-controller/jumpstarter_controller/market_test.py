"""What the market keeps is what there is, and what is decided by it is what the model decides."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from jumpstarter.model.status import ExporterStatus as Status

from jumpstarter_controller.conftest import NAMESPACE, NOON
from jumpstarter_controller.deciding import decide
from jumpstarter_controller.fleet import Fleet
from jumpstarter_controller.lease_state import PENDING, pending
from jumpstarter_controller.market import SPARE, Market, Pool
from jumpstarter_controller.objects import Device, Exporter, Lease, Policy, PolicyRule
from jumpstarter_controller.prospects import Demand, Refusal, Situation, options
from jumpstarter_controller.scheduling import Assignment, Decision, Verdict, schedule

HOUR = timedelta(hours=1)
NAMES = ("a", "b", "c", "d")
CLIENTS = ("ann", "ben")
SELECTORS = ("type=x", "type=y", "type", "!site", "nobody=has")
STATUSES = (None, Status.AVAILABLE, Status.LEASE_READY, Status.OFFLINE)


def exporter(name: str, number: int) -> Exporter:
    """Return an exporter in one of many states."""
    return Exporter(
        namespace=NAMESPACE,
        name=name,
        uid=name,
        labels={"type": "xy"[number % 2]} | ({"site": "n"} if number % 3 == 0 else {}),
        username=None,
        enabled=number % 11 != 0,
        created=NOON,
        devices=(Device(uuid="root"),) if number % 9 else (),
        status=STATUSES[number // 2 % 4],
        online=number % 10 != 3,
    )


def lease(sequence: int, one: int, two: int) -> Lease:
    """Return a lease that has no exporter."""
    named = NAMES[two % 4] if one % 4 == 0 else None
    made = Lease(
        namespace=NAMESPACE,
        name=f"l{sequence}",
        uid=f"l{sequence}",
        sequence=sequence,
        created=NOON,
        client=CLIENTS[one % 2],
        client_uid=CLIENTS[one % 2],
        selector="" if named and two % 3 else SELECTORS[two % 5],
        exporter_name=named,
        duration=(1 + two % 3) * HOUR,
        begin_time=None if one % 5 else NOON + (two % 3 - 1) * 2 * HOUR,
        end_time=None,
        tags={},
        context={},
        allow_disabled=two % 2 == 0,
    )
    return pending(made, "NotAvailable", "", NOON) if one % 3 == 0 else made


def holding(sequence: int, name: str, number: int) -> Lease:
    """Return a lease that has an exporter."""
    return replace(
        lease(sequence, 1, number),
        exporter=name,
        exporter_uid=name,
        effective_begin=NOON,
        spot=number % 3 != 0,
        priority=number % 3,
    )


def policy(number: int) -> Policy:
    """Return a policy with two rules."""
    rules = tuple(
        PolicyRule(
            priority=(number >> turn) % 3,
            client_selectors=(f"name={name}",) if (number >> turn) & 1 else ("",),
            maximum_duration=2 * HOUR if number % 3 == 0 else None,
            spot=(number >> turn) & 2 == 2,
        )
        for turn, name in enumerate(CLIENTS)
    )
    selector = ("", "type=x", "!site")[number % 3]
    return Policy(namespace=NAMESPACE, name=f"p{number}", exporter_selector=selector, rules=rules)


def told(decision: Decision) -> object:
    """Return what two decisions have in common that come to the same."""
    evicts = None if decision.evicts is None else decision.evicts.name
    match decision:
        case Assignment(one, option):
            return one.name, option.exporter.name, option.admission, evicts
        case Verdict(one, kind, reason, message):
            return one.name, kind, reason, message, evicts


def is_news(decision: Decision) -> bool:
    """Return whether a decision is more than that one who waits waits on."""
    if isinstance(decision, Assignment) or decision.evicts is not None:
        return True
    return decision.kind != PENDING or not decision.lease.conditions


numbers = st.integers(0, 1000)
boards = st.tuples(*(st.tuples(st.just(name), numbers) for name in NAMES)).map(list)
asking = st.lists(st.tuples(numbers, numbers), min_size=1, max_size=8)
labels: Mapping[str, Mapping[str, str]] = {name: {"name": name} for name in CLIENTS}


@settings(max_examples=600, deadline=None)
@given(
    boards,
    asking,
    st.lists(numbers, max_size=4),
    st.lists(numbers, max_size=2),
    st.booleans(),
)
def test_what_is_decided_quickly_is_what_the_model_decides(
    some: list[tuple[str, int]],
    wanted: list[tuple[int, int]],
    holders: list[int],
    policies: list[int],
    spot: bool,
) -> None:
    held = {
        name: holding(-number - 1, name, number)
        for (name, _), number in zip(some, holders, strict=False)
    }
    scene = Situation(
        fleet=Fleet.of(exporter(name, number) for name, number in some),
        held=held,
        policies=[policy(number) for number in policies],
        labels=labels,
        spot=spot,
    )
    unassigned = [lease(sequence, *pair) for sequence, pair in enumerate(wanted)]
    market = Market(scene, unassigned)

    quick = decide(market, NOON)
    slow = schedule([one for one in unassigned if one.waiting(NOON)], scene, NOON)

    assert sorted(map(str, map(told, quick))) == sorted(
        str(told(one)) for one in slow if is_news(one)
    )
    for pool in market.asking():
        assert_pool_is_right(pool, scene)


def assert_pool_is_right(pool: Pool, scene: Situation) -> None:
    found = options(pool.demand, scene)
    some = [] if isinstance(found, Refusal) else found
    assert pool.terms == {one.exporter.name: one.admission for one in some}
    present = [one for one in some if one.exporter.present]
    idle = [one for one in present if one.exporter.name not in scene.held]
    assert (pool.present, pool.idle) == (len(present), len(idle))
    usable = {(one.admission, one.exporter.name) for one in idle if one.exporter.fresh}
    assert {(terms, name) for terms, names in pool.tiers.items() for name in names} == usable
    assert all(names == sorted(names) and names for names in pool.tiers.values())


def test_pools_that_nobody_waits_for_are_forgotten_in_the_end() -> None:
    scene = Situation(fleet=Fleet.of([exporter("a", 1)]), held={})
    market = Market(scene, [])
    for number in range(3 * SPARE):
        one = replace(lease(number, 1, 2), selector=f"n{number}", begin_time=None)
        market.add(one)
        market.discard(one)

    again = replace(lease(0, 1, 2), selector="type=y", begin_time=None)
    market.add(again)

    (pool,) = market.asking()
    assert pool.demand == Demand.of(again)
    assert len(market) <= SPARE + 1
