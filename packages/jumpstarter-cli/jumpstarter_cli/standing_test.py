"""What a client reads about a lease that waits."""

from datetime import timedelta

import pytest
from jumpstarter.client.records import Condition, Lease, LeaseAhead, Waiting

from jumpstarter_cli.standing import place, standing

PENDING = Condition(type="Pending", status="True", reason="NotAvailable", message="all are leased")


def waiting(position: int, ahead: int, holders: int) -> Lease:
    return Lease(
        namespace="default",
        name="mine",
        selector="board=pi",
        duration=timedelta(hours=1),
        client="ann",
        exporter="",
        conditions=[PENDING],
        waiting=Waiting(
            position=position,
            message="all are leased",
            ahead=[LeaseAhead(name=f"before-{number}", client="bob") for number in range(ahead)],
            holders=[
                LeaseAhead(name=f"held-{number}", client="eve", exporter=f"pi-{number}")
                for number in range(holders)
            ],
        ),
    )


@pytest.mark.parametrize(
    ("lease", "line"),
    [
        (waiting(1, 0, 0), "number 1 in the queue: all are leased"),
        (
            waiting(2, 1, 1),
            (
                "number 2 in the queue: all are leased; behind lease before-0 of bob; "
                "held by lease held-0 of eve on pi-0"
            ),
        ),
        (
            waiting(34, 10, 2),
            (
                "number 34 in the queue: all are leased; behind lease before-9 of bob and 32 more; "
                "held by lease held-0 of eve on pi-0 and others"
            ),
        ),
    ],
)
def test_place_in_one_line(lease: Lease, line: str):
    assert place(lease) == line


def test_those_ahead_who_are_not_named_are_counted():
    lines = standing(waiting(13, 10, 1))
    assert lines[0] == "lease mine waits, number 13 in the queue: all are leased"
    assert lines[1] == "ahead: 2 more"
    assert lines[2:12] == [f"ahead: lease before-{number} of bob" for number in range(10)]
    assert lines[12:] == ["held by: lease held-0 of eve on pi-0"]
