"""What the controller wants: which messages are an assignment, and who hears of a change."""

import anyio
import pytest
from jumpstarter_protocol import jumpstarter_pb2

from jumpstarter.exporter.assignments import Assignment, Assignments, assignment_of


@pytest.mark.parametrize(
    ("message", "assignment"),
    [
        (jumpstarter_pb2.StatusResponse(), None),
        (jumpstarter_pb2.StatusResponse(leased=True), None),
        (jumpstarter_pb2.StatusResponse(leased=False, lease_name="one"), None),
        (jumpstarter_pb2.StatusResponse(leased=True, lease_name="one"), Assignment("one")),
        (
            jumpstarter_pb2.StatusResponse(
                leased=True, lease_name="one", client_name="anna", context={"build": "7"}
            ),
            Assignment("one", "anna"),
        ),
    ],
)
def test_what_is_an_assignment(
    message: jumpstarter_pb2.StatusResponse, assignment: Assignment | None
):
    assert assignment_of(message) == assignment


async def test_only_the_newest_counts():
    assignments = Assignments()
    seen: list[Assignment | None] = []

    async def follow() -> None:
        last: Assignment | None = None
        while last != Assignment("three"):
            last = await assignments.wait_for(lambda now, before=last: now != before)
            seen.append(last)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follow)
        await anyio.lowlevel.checkpoint()
        for lease in ("one", "two", "three"):
            assignments.update(Assignment(lease))
    assert seen == [Assignment("three")]


async def test_a_lease_is_over_when_it_is_not_the_newest():
    assignments = Assignments()
    assignments.update(Assignment("one", "anna"))
    assert assignments.is_on("one")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(assignments.wait_until_over, "one")
        assignments.update(Assignment("one", "berta"))
        assert assignments.is_on("one")
        assignments.update(Assignment("two"))
    assert not assignments.is_on("one")
