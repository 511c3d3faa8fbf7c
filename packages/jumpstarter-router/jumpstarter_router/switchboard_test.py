"""What the switchboard decides, without a wire; and a wire of dictionaries that obeys it."""

from collections import deque
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jumpstarter_router.claims import Claims, Side
from jumpstarter_router.switchboard import (
    AHEAD_BYTES,
    AHEAD_MESSAGES,
    ALONE,
    CLOSING,
    DONE,
    LEASE_OVER,
    LEFT,
    LINGER,
    STALE,
    UNMET,
    Commands,
    Cut,
    End,
    Party,
    Read,
    Switchboard,
    Write,
)

EXPIRES = 1800.0


def claims(stream: str = "s", side: Side | None = None, fence: int = 1, lease: str = "l") -> Claims:
    return Claims(stream=stream, expires=EXPIRES, side=side, lease=lease, fence=fence)


def admit(board: Switchboard[str], call: str, of: Claims | None = None) -> Party[str]:
    party, _ = board.arrived(call, of or claims())
    assert party is not None
    return party


def pair(board: Switchboard[str]) -> tuple[Party[str], Party[str]]:
    return admit(board, "a"), admit(board, "b")


def test_the_first_is_read_ahead_and_the_second_is_met():
    board = Switchboard[str]()
    first, commands = board.arrived("a", claims())
    assert first is not None
    assert commands == (Read("a"),)
    second, commands = board.arrived("b", claims())
    assert second is not None
    assert list(commands) == [Read("b")]
    assert (first.peer, second.peer) == (second, first)
    assert (board.calls, board.waiting) == (2, 0)


def test_reading_ahead_is_bounded_by_bytes():
    board = Switchboard[str]()
    party = admit(board, "a")
    assert board.received(party, bytes(AHEAD_BYTES - 1), 0) == (Read("a"),)
    assert board.received(party, b"x", 0) == ()


def test_reading_ahead_is_bounded_by_messages():
    board = Switchboard[str]()
    party = admit(board, "a")
    for _ in range(AHEAD_MESSAGES - 1):
        assert board.received(party, b"", 0) == (Read("a"),)
    assert board.received(party, b"", 0) == ()


def test_what_was_held_goes_out_one_after_the_other():
    board = Switchboard[str]()
    first = admit(board, "a")
    board.received(first, b"1", 0)
    board.received(first, b"2", 0)
    second, commands = board.arrived("b", claims())
    assert second is not None
    assert list(commands) == [Write("b", b"1"), Read("b")]
    assert board.sent(second) == [Write("b", b"2")]
    # Its next message has been asked for since before they met.
    assert board.received(first, b"3", 0) == ()
    assert board.sent(second) == [Write("b", b"3"), Read("a")]


def test_one_message_is_read_while_one_is_written():
    board = Switchboard[str]()
    first, second = pair(board)
    assert board.received(first, b"1", 0) == (Write("b", b"1"), Read("a"))
    assert board.received(first, b"2", 0) == ()
    assert board.sent(second) == [Write("b", b"2"), Read("a")]


def test_both_end_well_one_after_the_other_when_both_have_finished():
    board = Switchboard[str]()
    first, second = pair(board)
    assert board.received(first, None, 0) == ()
    assert board.received(second, None, 0) == (End("b", DONE),)
    assert board.closed(second, 0, well=True) == (End("a", DONE),)
    assert board.closed(first, 0, well=True) == ()
    assert board.calls == 0


def test_one_that_only_seemed_to_finish_does_not_end_the_other_well():
    board = Switchboard[str]()
    first, second = pair(board)
    board.received(first, None, 0)
    board.received(second, None, 0)
    assert board.closed(second, 0, well=False) == (End("a", LEFT),)


def test_the_end_waits_for_what_is_being_written():
    board = Switchboard[str]()
    first, second = pair(board)
    board.received(first, b"1", 0)
    board.received(first, b"2", 0)
    board.received(second, None, 0)
    assert board.sent(second) == [Write("b", b"2"), Read("a")]
    assert board.received(first, None, 0) == ()
    assert board.sent(second) == (End("a", DONE),)


def test_a_call_that_ends_well_may_take_its_time():
    board = Switchboard[str]()
    first, second = pair(board)
    board.received(first, None, 0)
    board.received(second, None, 0)
    assert board.tick(EXPIRES + LINGER) == []


def test_a_break_ends_the_other_and_cuts_it_when_it_does_not_take_what_it_got():
    board = Switchboard[str]()
    first, second = pair(board)
    board.received(first, b"1", 0)
    assert board.closed(first, 10, well=False) == (End("b", LEFT),)
    assert board.received(second, b"to nobody", 10) == ()
    assert board.sent(second) == ()
    assert board.tick(10 + LINGER - 1) == []
    assert board.tick(10 + LINGER) == [Cut("b", LEFT)]
    assert board.closed(second, 20, well=False) == ()
    assert (board.calls, board.due) == (0, 0)


def test_one_that_nobody_meets_ends_with_its_token():
    board = Switchboard[str]()
    party = admit(board, "a")
    assert board.next_deadline == EXPIRES
    assert board.tick(EXPIRES - 1) == []
    assert board.tick(EXPIRES) == [End("a", UNMET)]
    assert board.waiting == 0
    assert board.closed(party, EXPIRES, well=True) == ()


def test_a_pair_does_not_end_with_its_token():
    board = Switchboard[str]()
    pair(board)
    assert board.tick(EXPIRES) == []


def test_one_that_half_closes_alone_ends_soon():
    board = Switchboard[str]()
    party = admit(board, "a")
    board.received(party, b"1", 0)
    assert board.received(party, None, 100) == ()
    assert board.next_deadline == 100 + LINGER
    assert board.tick(100 + LINGER) == [End("a", ALONE)]
    assert board.waiting == 0
    assert board.arrived("b", claims())[1] == (Read("b"),)


def test_one_that_half_closes_just_before_the_other_comes_is_met():
    board = Switchboard[str]()
    first = admit(board, "a")
    board.received(first, b"1", 0)
    board.received(first, None, 0)
    second, commands = board.arrived("b", claims())
    assert second is not None
    assert list(commands) == [Write("b", b"1"), Read("b")]
    assert board.tick(LINGER) == []
    assert board.received(second, None, 9) == ()
    assert board.sent(second) == (End("a", DONE),)


def test_one_that_leaves_alone_is_forgotten():
    board = Switchboard[str]()
    party = admit(board, "a")
    assert board.closed(party, 0, well=False) == ()
    assert (board.calls, board.waiting) == (0, 0)
    assert board.arrived("b", claims())[1] == (Read("b"),)


def test_a_third_is_a_new_first():
    board = Switchboard[str]()
    pair(board)
    third, fourth = admit(board, "c"), admit(board, "d")
    assert third.peer is fourth


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        (Side.CLIENT, Side.EXPORTER, True),
        (Side.EXPORTER, Side.CLIENT, True),
        (Side.CLIENT, Side.CLIENT, False),
        (Side.EXPORTER, Side.EXPORTER, False),
        (None, None, True),
        (None, Side.CLIENT, True),
        (Side.EXPORTER, None, True),
    ],
)
def test_sides(one: Side | None, other: Side | None, meet: bool):
    board = Switchboard[str]()
    first, second = admit(board, "a", claims(side=one)), admit(board, "b", claims(side=other))
    assert (first.peer is second) is meet


def test_older_streams_of_a_lease_are_cut_and_refused():
    board = Switchboard[str]()
    old, alone = pair(board), admit(board, "old", claims("other"))
    new = admit(board, "new", claims("t", fence=2))
    elsewhere = admit(board, "else", claims("u", lease="m"))
    commands = board.refuse("l", 2, 0)
    assert list(commands) == [Cut(call, LEASE_OVER) for call in ("a", "b", "old")]
    assert [party.outcome for party in (*old, alone, new, elsewhere)] == [LEASE_OVER] * 3 + [
        None
    ] * 2
    assert board.arrived("late", claims()) == (None, (End("late", STALE),))
    assert board.arrived("later", claims("v", fence=2))[0] is not None
    assert board.closed(old[0], 0, well=False) == ()


def test_draining_ends_those_who_wait_and_lets_nobody_in():
    board = Switchboard[str]()
    first, second = pair(board)
    admit(board, "alone", claims("other"))
    assert board.drain(0) == [End("alone", CLOSING)]
    assert board.arrived("late", claims()) == (None, (End("late", CLOSING),))
    assert board.received(first, b"still", 0) == (Write("b", b"still"), Read("a"))
    assert set(board.cut_all()) == {Cut(call, CLOSING) for call in ("a", "b", "alone")}
    assert second.outcome is CLOSING


def test_deadlines_of_those_who_left_hold_nothing():
    board = Switchboard[str]()
    for number in range(100):
        party = admit(board, str(number))
        board.closed(party, 0, well=False)
    assert board.due == 0


@dataclass
class Far:
    """A caller and its call: what it has left to send, and what it got."""

    to_send: deque[bytes | None]
    got: list[bytes] = field(default_factory=list[bytes])
    reads: int = 0
    unsent: deque[bytes] = field(default_factory=deque[bytes])
    outcome: object = None


class Wire:
    """Obeys a switchboard; like gRPC it takes one operation of a kind at a time for each call."""

    def __init__(self, one: list[bytes], other: list[bytes]) -> None:
        self.board = Switchboard[str]()
        self.far = {"a": Far(deque([*one, None])), "b": Far(deque([*other, None]))}
        self.party: dict[str, Party[str]] = {}

    def arrive(self, call: str) -> None:
        party, commands = self.board.arrived(call, claims())
        assert party is not None
        self.party[call] = party
        self.obey(commands)

    def obey(self, commands: Commands[str]) -> None:
        for command in commands:
            far = self.far[command.call]
            assert far.outcome is None, "nothing is asked of a call that has its status"
            match command:
                case Read():
                    far.reads += 1
                    assert far.reads == 1
                case Write(_, message):
                    far.unsent.append(message)
                    assert len(far.unsent) == 1
                case End(_, outcome) | Cut(_, outcome):
                    far.outcome = outcome

    def can(self) -> list[tuple[str, str]]:
        """Return what may happen next."""
        actions: list[tuple[str, str]] = []
        for call, far in self.far.items():
            if call not in self.party:
                actions.append(("arrive", call))
            elif not self.party[call].gone:
                actions += [("send", call)] if far.reads and far.to_send else []
                actions += [("take", call)] if far.unsent else []
                actions += [("close", call)] if far.outcome is not None and not far.unsent else []
        return actions

    def do(self, action: str, call: str) -> None:
        far = self.far[call]
        match action:
            case "arrive":
                self.arrive(call)
            case "send":
                far.reads -= 1
                self.obey(self.board.received(self.party[call], far.to_send.popleft(), 0.0))
            case "take":
                far.got.append(far.unsent.popleft())
                self.obey(self.board.sent(self.party[call]))
            case _:
                self.obey(self.board.closed(self.party[call], 0.0, well=True))


@settings(max_examples=300, deadline=None)
@given(data=st.data(), one=st.lists(st.binary(max_size=3)), other=st.lists(st.binary(max_size=3)))
def test_whatever_the_order_all_arrives_in_order_and_both_end_well(
    data: st.DataObject, one: list[bytes], other: list[bytes]
):
    wire = Wire(one, other)
    wire.arrive("a")
    wire.arrive("b")
    while actions := wire.can():
        wire.do(*data.draw(st.sampled_from(actions)))
        for party in wire.party.values():
            assert len(party.held) <= 1
    assert wire.far["a"].got == other
    assert wire.far["b"].got == one
    assert [far.outcome for far in wire.far.values()] == [DONE, DONE]
    assert wire.board.calls == 0


@settings(max_examples=300, deadline=None)
@given(data=st.data(), one=st.lists(st.binary(max_size=3)), other=st.lists(st.binary(max_size=3)))
def test_whoever_breaks_off_and_when_the_other_never_ends_well(
    data: st.DataObject, one: list[bytes], other: list[bytes]
):
    wire = Wire(one, other)
    for _ in range(data.draw(st.integers(0, 30))):
        if actions := wire.can():
            wire.do(*data.draw(st.sampled_from(actions)))
    breaker = data.draw(st.sampled_from("ab"))
    party = wire.party.get(breaker)
    if party is None or party.gone or wire.far[breaker].outcome is not None:
        return
    stays = wire.far["b" if breaker == "a" else "a"]
    had_ended, calls = stays.outcome, wire.board.calls
    wire.obey(wire.board.closed(party, 0.0, well=False))
    if party.peer is not None and had_ended is None:
        assert stays.outcome is LEFT
    assert wire.board.calls == calls - 1
