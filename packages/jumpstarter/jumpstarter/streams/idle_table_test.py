"""The table of quiet peers, with times made up."""

import pytest

from jumpstarter.streams.idle_table import IdleTable


def test_entry_expires_when_its_time_has_come_and_not_before():
    table = IdleTable[str, str](idle=10, capacity=5)
    table.add("a", "A", now=0)
    table.add("b", "B", now=4)
    assert table.deadline() == 10
    assert list(table.expire(9.9)) == []
    assert list(table.expire(10)) == ["A"]
    assert table.deadline() == 14


def test_touched_entry_lives_on():
    table = IdleTable[str, str](idle=10, capacity=5)
    table.add("a", "A", now=0)
    table.add("b", "B", now=1)
    assert table.touch("a", 5) == "A"
    assert list(table.expire(14)) == ["B"]
    assert list(table.expire(15)) == ["A"]


def test_unknown_key_is_none():
    table = IdleTable[str, str](idle=10, capacity=5)
    assert table.touch("a", 0) is None
    assert table.deadline() is None
    assert list(table.expire(100)) == []


def test_full_table_gives_up_the_quietest():
    table = IdleTable[str, str](idle=10, capacity=2)
    assert table.add("a", "A", now=0) is None
    assert table.add("b", "B", now=1) is None
    table.touch("a", 2)
    assert table.add("c", "C", now=3) == "B"
    assert len(table) == 2
    assert table.touch("b", 4) is None


def test_discard_leaves_a_successor_alone():
    table = IdleTable[str, list[int]](idle=10, capacity=2)
    old, new = [1], [1]
    table.add("a", old, now=0)
    table.discard("a", old)
    assert len(table) == 0
    table.add("a", new, now=1)
    table.discard("a", old)
    assert table.touch("a", 2) is new


def test_table_without_room_is_refused():
    with pytest.raises(ValueError, match="capacity"):
        IdleTable[str, str](idle=1, capacity=0)
