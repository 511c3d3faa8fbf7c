"""The rules of the lab hold after every step of any history; decisions are made without a database.

What is played are the operations themselves over a draft, with a clock that is moved by hand. The
expected outcome is worked out by other means: by looking at all of the state after each step.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from jumpstarter.model.status import ExporterStatus as Status

from jumpstarter_controller.book import Book, Settings
from jumpstarter_controller.conftest import NAMESPACE, NOON
from jumpstarter_controller.deciding import decide
from jumpstarter_controller.draft import Draft
from jumpstarter_controller.errors import LabError
from jumpstarter_controller.fleet import admits
from jumpstarter_controller.lease_state import READY
from jumpstarter_controller.market import Market
from jumpstarter_controller.objects import (
    Client,
    Device,
    Exporter,
    Lease,
    LeaseChange,
    LeaseRequest,
    Policy,
    PolicyRule,
)
from jumpstarter_controller.operations import access, exporters, leases, people
from jumpstarter_controller.operations.settling import fall_due, situation
from jumpstarter_controller.prospects import Demand, Refusal, options
from jumpstarter_controller.queueing import as_it_waits
from jumpstarter_controller.scheduling import CLEANING
from jumpstarter_controller.timers import Timers
from jumpstarter_controller.writer import apply_change

MINUTE = timedelta(minutes=1)
NAMES = ("a", "b", "c")
CLIENTS = ("ann", "ben", "sue")
SELECTORS = ("type=x", "type=y", "type", "type in (x,y),site=n", "!site")

Step = tuple[str, int, int, int]


@dataclass
class World:
    """The state, as the writer has it, and every lease that there ever was."""

    settings: Settings
    book: Book = field(default_factory=Book)
    committed: Book = field(default_factory=Book)
    now = NOON
    sequence: int = 0
    known: dict[str, Lease] = field(default_factory=dict[str, Lease])
    fences: dict[str, int] = field(default_factory=dict[str, int])

    def __post_init__(self) -> None:
        self.timers = Timers(self.settings)

    def do(self, operation: Callable[[Draft], object]) -> None:
        """Do one order as the writer does: what is due first, and all or nothing."""
        draft = Draft(self.book, self.settings, self.now, self.sequence)
        fall_due(draft, self.timers, self.timers.due(self.now))
        mark = draft.mark()
        before = snapshot(self.book)
        try:
            operation(draft)
        except LabError:
            draft.rollback(mark)
            assert snapshot(self.book) == before
        self.sequence = draft.sequence
        for change in draft.changes():
            apply_change(self.committed, change)
            self.timers.watch(change.new, self.now)
            self.note(change.old, change.new)
        assert snapshot(self.committed) == snapshot(self.book)

    def note(self, old: object, new: object) -> None:
        if isinstance(new, Lease):
            self.known[new.name] = new
            fresh = new.exporter is not None and not (isinstance(old, Lease) and old.exporter)
            if fresh and new.exporter is not None:
                assert new.fence > self.fences.get(new.exporter, 0)
                self.fences[new.exporter] = new.fence


def snapshot(book: Book) -> object:
    tables = (book.clients, book.exporters, book.leases, book.policies, book.routers)
    held = {name: dict(leases) for name, leases in book.held.items() if leases}
    return [dict(table) for table in tables], held, dict(book.unassigned(NAMESPACE))


def check(world: World) -> None:
    """Assert everything that must be so at any time."""
    live = [one for one in world.known.values() if one.live]
    assert len({one.exporter for one in live}) == len(live), "an exporter has two live leases"
    for lease in world.known.values():
        check_lease(lease, world)
    check_fairness(world, live)
    # What the book finds quickly is what is found by looking at everything.
    assert {one.name: one for one in live} == {
        one.name: one for one in world.book.held.get(NAMESPACE, {}).values()
    }
    check_market(world)
    for selector in SELECTORS:
        found = {one.name for one in world.book.fleet(NAMESPACE).matching(selector)}
        every = world.book.exporters.values()
        assert found == {one.name for one in every if admits(selector, one.labels)}


def check_market(world: World) -> None:
    """Assert that what was kept up to date is what is found by beginning anew."""
    market = world.book.market(NAMESPACE, spot=world.settings.spot)
    assert decide(market, world.now) == [], "something was left to decide"
    scene = world.book.situation(NAMESPACE, spot=world.settings.spot)
    fresh = Market(scene, world.book.unassigned(NAMESPACE).values())
    fresh.promote(world.now)
    assert pools_of(market) == pools_of(fresh)
    assert (market.cleaning, market.spot_held) == (fresh.cleaning, fresh.spot_held)


def pools_of(market: Market) -> object:
    return sorted(
        (
            str((one.demand.selector, one.demand.exporter_name, one.admissions)),
            sorted(one.terms.items()),
            sorted(one.tiers.items()),
            (one.present, one.idle, one.normal_terms()),
            one.waiting,
            sorted(one.untold),
        )
        for one in market.asking()
    )


def check_lease(lease: Lease, world: World) -> None:
    if not lease.ended and lease.expires_at is not None:
        assert lease.expires_at > world.now, "a lease outlives its deadline"
    types = [one.type for one in lease.conditions]
    assert len(set(types)) == len(types)
    assert all(one.status for one in lease.conditions if one.type != READY)
    assert READY not in types or types[-1] == READY
    assert "NoExporter" not in {one.reason for one in lease.conditions}
    if lease.live:
        assert lease.conditions[-1].status
        assert lease.conditions[-1].type == READY
    elif lease.waiting(world.now):
        assert lease.conditions[-1].type == "Pending"


def check_fairness(world: World, live: Iterable[Lease]) -> None:
    """Nobody waits who could be served, and nobody was served before who was first."""
    held = {one.exporter: one for one in live}
    draft = Draft(world.book, world.settings, world.now, world.sequence)
    scene = situation(draft, NAMESPACE)
    for lease in world.known.values():
        if not lease.waiting(world.now):
            continue
        found = options(Demand.of(lease), scene)
        assert not isinstance(found, Refusal), "a lease waits in vain"
        reason = why(lease, world)
        present = [one for one in found if one.exporter.present]
        free = [one for one in present if one.exporter.name not in held]
        assert not [one for one in free if one.exporter.fresh], "a free exporter is not granted"
        expected = "Offline" if not present else "NotReady" if free else "NotAvailable"
        assert reason == expected
        for option in present:
            holder = held.get(option.exporter.name)
            if holder is None or option.admission.spot:
                continue
            soon = [one for one in free if one.exporter.status in CLEANING]
            assert not holder.spot or soon, "spot access is not taken away"


def why(lease: Lease, world: World) -> str:
    """Return the reason for which a lease is said to wait."""
    market = world.book.market(NAMESPACE, spot=world.settings.spot)
    return as_it_waits(lease, market, world.now).conditions[-1].reason


def later_ones_were_not_served(before: dict[str, Lease], world: World) -> None:
    """Of those who waited and were granted now, nobody passed one who was first there."""
    draft = Draft(world.book, world.settings, world.now, world.sequence)
    scene = situation(draft, NAMESPACE)
    for old in before.values():
        new = world.known[old.name]
        if old.exporter is not None or new.exporter is None or not new.live:
            continue
        for other in world.known.values():
            if not other.waiting(world.now) or other.name not in before:
                continue
            found = options(Demand.of(other), scene)
            assert not isinstance(found, Refusal)
            terms = [one.admission for one in found if one.exporter.name == new.exporter]
            own = (new.spot, -new.priority, new.sequence)
            for one in terms:
                assert own < (one.spot, one.rank, other.sequence), "the order was not kept"


def play(world: World, step: Step) -> None:
    """Do one step of a history."""
    kind, one, two, three = step
    client = world.book.clients[NAMESPACE, CLIENTS[one % len(CLIENTS)]]
    board = world.book.exporters.get((NAMESPACE, NAMES[one % len(NAMES)]))
    match kind:
        case "create":
            world.do(create(client, two, three, world))
        case "release" | "extend" | "give" | "finish":
            lease = pick(world, two)
            if lease is not None:
                world.do(end_or_change(kind, lease, three, world))
        case "wait":
            world.now += (1 + one % 90) * MINUTE / 3
            hear(world, silent=three % 8)
            world.do(lambda _: None)
        case "policy":
            world.do(policy(two, three))
        case _:
            play_exporter(world, board, step)


def pick(world: World, number: int) -> Lease | None:
    active = sorted(world.book.leases.values(), key=lambda one: one.sequence)
    return active[number % len(active)] if active else None


def create(client: Client, two: int, three: int, world: World) -> Callable[[Draft], object]:
    name = NAMES[two % len(NAMES)] if two % 5 == 0 else None
    begin = world.now + (three % 50 - 10) * MINUTE if three % 7 == 0 else None
    request = LeaseRequest(
        selector=SELECTORS[two % len(SELECTORS)] if name is None or two % 2 else "",
        exporter_name=name,
        duration=(1 + three % 60) * MINUTE,
        begin_time=begin,
        allow_disabled=two % 3 == 0,
    )
    return lambda draft: leases.create(
        draft, caller=client.ref, namespace=NAMESPACE, request=request, lease_id=None
    )


def end_or_change(kind: str, lease: Lease, number: int, world: World) -> Callable[[Draft], object]:
    owner = replace(world.book.clients[NAMESPACE, lease.client]).ref
    target = {"namespace": NAMESPACE, "name": lease.name}
    match kind:
        case "extend":
            change = LeaseChange(duration=(1 + number % 90) * MINUTE)
        case "give":
            change = LeaseChange(client=CLIENTS[number % len(CLIENTS)])
        case "finish":
            change = LeaseChange(end_time=world.now + (number % 60 - 5) * MINUTE)
        case _:
            return lambda draft: leases.release(draft, caller=owner, again=False, **target)
    return lambda draft: leases.update(draft, caller=owner, change=change, **target)


def policy(two: int, three: int) -> Callable[[Draft], object]:
    rules = tuple(
        PolicyRule(
            priority=number * three % 4,
            client_selectors=(f"name={name}",) if (two >> number) & 1 else ("",),
            maximum_duration=None if three % 3 else 40 * MINUTE,
            spot=(three >> number) & 1 == 1,
        )
        for number, name in enumerate(CLIENTS)
    )
    made = Policy(
        namespace=NAMESPACE,
        name=f"p{two % 2}",
        exporter_selector=("", "type=x")[two % 2],
        rules=rules,
    )
    if three % 5 == 0:
        return lambda draft: access.delete_policy(draft, key=(NAMESPACE, made.name))
    return lambda draft: access.put_policy(draft, policy=made)


def hear(world: World, silent: int) -> None:
    """Let every exporter be heard, but for one."""
    for number, board in enumerate([*world.book.exporters.values()]):
        if board.online and number != silent:
            for book in (world.book, world.committed):
                book.put(replace(board, last_seen=world.now))


def play_exporter(world: World, board: Exporter | None, step: Step) -> None:
    kind, one, two, three = step
    key = NAMESPACE, NAMES[one % len(NAMES)]
    labels = {"type": "xy"[two % 2]} | ({"site": "n"} if three % 2 else {})
    if board is None:
        world.fences.pop(key[1], None)
        world.do(lambda draft: people.create_exporter(draft, key=key, labels=labels, username=None))
        board = world.book.exporters[key]
        devices = [Device(uuid="root")]
        ref = board.ref
        world.do(lambda draft: exporters.register(draft, caller=ref, labels={}, devices=devices))
        world.do(lambda draft: exporters.connect(draft, caller=ref))
        return
    ref = board.ref
    match kind:
        case "status":
            status = list(Status)[two % 8] if three % 3 else Status.AVAILABLE
            world.do(
                lambda draft: exporters.report_status(
                    draft, caller=ref, status=status, message="", release=three % 5 == 0
                )
            )
        case "labels":
            enabled = three % 4 != 0
            world.do(
                lambda draft: people.set_exporter(draft, key=key, labels=labels, enabled=enabled)
            )
        case "leave":
            world.do(lambda draft: exporters.unregister(draft, caller=ref, reason=""))
        case "delete":
            held = world.book.holder(board)
            world.do(lambda draft: people.delete_exporter(draft, key=key))
            if held is not None:
                world.known.pop(held.name, None)
        case _:
            world.do(lambda draft: exporters.seen(draft, caller=ref))


KINDS = ("create",) * 8 + ("release",) * 3 + ("status",) * 4 + ("wait",) * 3
RARE = ("extend", "give", "finish", "policy", "labels", "leave", "delete", "seen")
steps = st.lists(
    st.tuples(
        st.sampled_from(KINDS + RARE),
        st.integers(0, 1000),
        st.integers(0, 1000),
        st.integers(0, 1000),
    ),
    min_size=30,
    max_size=100,
)


@settings(max_examples=150, deadline=None)
@given(steps, st.sampled_from([(7, 4), (7, 1), (7, 6), (0, 5)]), st.booleans())
def test_whatever_happens_the_rules_hold(
    history: list[Step], first: tuple[int, int], spot: bool
) -> None:
    world = World(Settings(spot=spot))
    for name in CLIENTS:
        world.do(
            lambda draft, name=name: people.create_client(
                draft, key=(NAMESPACE, name), labels={"name": name}, username=None
            )
        )
    for number in range(len(NAMES)):
        play_exporter(world, None, ("status", number, number, number))
    world.do(policy(*first))
    check(world)
    for step in history:
        before = dict(world.known)
        play(world, step)
        check(world)
        if step[0] not in ("policy", "labels", "give", "delete"):
            later_ones_were_not_served(
                {name: lease for name, lease in before.items() if name in world.known}, world
            )
    nobody_starves(world)


def nobody_starves(world: World) -> None:
    """Once exporters do what they should, everybody who waits gets one or a final answer."""
    for _ in range(2 * len(world.known) + 4):
        for board in [*world.book.exporters.values()]:
            play_exporter(world, board, ("status", NAMES.index(board.name), 2, 3))
        waiting = [one for one in world.known.values() if one.waiting(world.now)]
        if not [one for one in waiting if why(one, world) != "Offline"]:
            break
        for lease in [one for one in world.known.values() if one.live]:
            world.do(end_or_change("release", lease, 0, world))
    unserved = [one for one in world.known.values() if one.waiting(world.now)]
    assert {why(one, world) for one in unserved} <= {"Offline"}
