"""A lease: asked for, waited for, verified, used through the tunnel, and given back."""

from datetime import timedelta
from uuid import UUID

import anyio
import grpc
import pytest
from jumpstarter_protocol import client_pb2

from jumpstarter.client import acquisition, following, releasing
from jumpstarter.client.conftest import (
    EXPORTER,
    GRANTED,
    NAMESPACE,
    FakeLab,
    end,
    lease_message,
    set_conditions,
)
from jumpstarter.model import errors
from jumpstarter.model.errors import (
    LeaseEndedError,
    LeaseError,
)

WAITING = ("Pending", "True", "NotAvailable", "all exporters are in use")
AWAY = (grpc.StatusCode.UNAVAILABLE, "away")


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(following, "AWAY_FIRST_S", 0.001)
    monkeypatch.setattr(following, "AWAY_LONGEST_S", 0.01)
    monkeypatch.setattr(acquisition, "FIRST_POLL_S", 0.001)
    monkeypatch.setattr(releasing, "RELEASE_SECONDS", 0.5)


async def test_granted_at_once_asks_no_more(lab: FakeLab):
    async with lab.lease() as wanted, wanted as held:
        assert lab.service.calls == ["CreateLease", "GetExporter"]
        assert UUID(held.name).version == 7
        assert (held.exporter_name, held.exporter_labels) == (EXPORTER, {"board": "x"})
        assert not lab.service.deleted
    assert lab.service.deleted == [held.name]


async def test_who_asks_is_told_with_each_call(lab: FakeLab):
    async with lab.lease() as wanted, wanted:
        pass
    for metadata in lab.service.metadata:
        assert metadata["authorization"] == "Bearer secret"
        assert metadata["jumpstarter-kind"] == "Client"
        assert metadata["jumpstarter-namespace"] == NAMESPACE
        assert metadata["jumpstarter-name"] == "me"


@pytest.mark.parametrize("tells", [True, False])
async def test_waiting_ends_when_it_is_granted(lab: FakeLab, tells: bool):
    lab.service.tells = tells
    lab.service.begin.append((WAITING,))
    told: list[str] = []

    def grant(text: str) -> None:
        told.append(text)
        [name] = lab.service.leases
        lab.service.change(name, lambda message: set_conditions(message, WAITING, GRANTED))

    async with lab.lease(waiting_callback=grant) as wanted, wanted as held:
        assert held.exporter_name == EXPORTER
    assert told == ["all exporters are in use"]
    asked = "WatchLease" if tells else "GetLease"
    assert asked in lab.service.calls


async def test_the_place_in_the_queue_is_told(lab: FakeLab):
    lab.service.begin.append((WAITING,))
    told: list[str] = []

    def change(text: str) -> None:
        told.append(text)
        [name] = lab.service.leases
        if len(told) == 1:
            place = client_pb2.Waiting(position=2, message="bench is leased by you")
            lab.service.change(name, lambda message: message.waiting.CopyFrom(place))
        else:
            lab.service.change(name, lambda message: set_conditions(message, GRANTED))

    async with lab.lease(waiting_callback=change) as wanted, wanted:
        pass
    assert told == [WAITING[3], "number 2 in the queue: bench is leased by you"]


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        (("Unsatisfiable", "True", "NoAccess", "why"), "the lease cannot be satisfied: why"),
        (("Invalid", "True", "InvalidSelector", "why"), "the lease is invalid: why"),
        (("Pending", "False", "Odd", ""), "the lease is not pending any more"),
        (("Ready", "False", "Released", ""), "the lease was released"),
        (("Ready", "False", "Expired", ""), "the lease has run out"),
        (("Ready", "False", "Other", "why"), "the lease is not ready: why"),
    ],
)
@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("ended", [True, False])
async def test_refused(
    lab: FakeLab, condition: tuple[str, str, str, str], text: str, at_once: bool, ended: bool
):
    lab.service.begin.append((condition if at_once else WAITING,))

    def refuse(_: str) -> None:
        [name] = lab.service.leases
        lab.service.change(name, over)

    def over(message: client_pb2.Lease) -> None:
        set_conditions(message, condition)
        if ended:
            end(message)

    with pytest.raises(LeaseError) as caught:
        async with lab.lease(waiting_callback=refuse) as wanted, wanted:
            pytest.fail("there is no lease")
    assert caught.value.message == text
    assert isinstance(caught.value, LeaseEndedError) == (condition[2] in {"Released", "Expired"})
    assert len(lab.service.deleted) == 1


async def test_ended_while_waiting(lab: FakeLab):
    lab.service.begin.append((WAITING,))

    def finish(_: str) -> None:
        [name] = lab.service.leases
        lab.service.change(name, end)

    with pytest.raises(LeaseEndedError, match=r"^the lease has ended$"):
        async with lab.lease(waiting_callback=finish) as wanted, wanted:
            pytest.fail("there is no lease")


async def test_no_exporter_is_asked_for_anew(lab: FakeLab):
    lab.service.begin.append((("Unsatisfiable", "True", "NoExporter", "it went away"),))
    async with lab.lease() as wanted, wanted as held:
        assert held.name == list(lab.service.leases)[1]


async def test_waiting_has_an_end(lab: FakeLab):
    lab.service.begin.append((WAITING,))
    with pytest.raises(LeaseError) as caught:
        async with lab.lease(acquisition_timeout=0.1) as wanted, wanted:
            pytest.fail("there is no lease")
    assert caught.value.message == "no lease within 0.1 seconds: all exporters are in use"
    assert lab.service.deleted == list(lab.service.leases)


async def test_a_controller_that_is_away_is_waited_for(lab: FakeLab):
    lab.service.begin.append((WAITING,))
    lab.service.refuse("WatchLease", *[AWAY] * 20)

    def grant(_: str) -> None:
        [name] = lab.service.leases
        lab.service.change(name, lambda message: set_conditions(message, GRANTED))

    async with lab.lease(waiting_callback=grant) as wanted, wanted:
        assert lab.service.calls.count("WatchLease") == 21


@pytest.mark.parametrize(
    ("refusal", "times"),
    [
        ((grpc.StatusCode.UNKNOWN, "token is expired"), 1),
        ((grpc.StatusCode.UNAUTHENTICATED, "who are you"), 1),
        ((grpc.StatusCode.UNKNOWN, "lease not found"), following.TRIES),
    ],
)
async def test_a_controller_that_refuses_is_not(
    lab: FakeLab, refusal: tuple[grpc.StatusCode, str], times: int
):
    lab.service.begin.append((WAITING,))
    lab.service.refuse("WatchLease", *[refusal] * 20)
    with pytest.raises(errors.ConnectionError):
        async with lab.lease() as wanted, wanted:
            pytest.fail("there is no lease")
    assert lab.service.calls.count("WatchLease") == times
    assert len(lab.service.deleted) == 1


async def test_asking_is_refused(lab: FakeLab):
    lab.service.refuse("CreateLease", (grpc.StatusCode.UNKNOWN, "too many tags"))
    with pytest.raises(errors.ConnectionError, match="grpc controller responded: too many tags"):
        async with lab.lease() as wanted, wanted:
            pytest.fail("there is no lease")
    assert lab.service.calls == ["CreateLease"]


async def test_a_controller_that_is_away_is_not_asked_for_long(lab: FakeLab):
    lab.service.refuse("CreateLease", *[AWAY] * 20)
    with pytest.raises(errors.ConnectionError, match="grpc error: away"):
        async with lab.lease() as wanted, wanted:
            pytest.fail("there is no lease")
    assert lab.service.calls == ["CreateLease"] * (acquisition.CREATE_TRIES + 1) + ["DeleteLease"]


async def test_a_lease_whose_answer_was_lost_is_found(lab: FakeLab):
    lab.service.lost_answers = 1
    async with lab.lease() as wanted, wanted as held:
        assert lab.service.calls[:3] == ["CreateLease", "CreateLease", "GetLease"]
        assert list(lab.service.leases) == [held.name]


@pytest.mark.parametrize("arrived", [True, False])
async def test_who_stops_asking_leaves_nothing_behind(
    lab: FakeLab, caplog: pytest.LogCaptureFixture, arrived: bool
):
    if not arrived:
        lab.service.refuse("DeleteLease", (grpc.StatusCode.UNKNOWN, "lease not found"))
    asked, answered = anyio.Event(), anyio.Event()
    lab.service.before_answer = answered.wait

    async def ask() -> None:
        async with lab.lease() as wanted, wanted:
            pytest.fail("there is no lease")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        lab.service.asked = asked
        await asked.wait()
        tasks.cancel_scope.cancel()
    assert lab.service.deleted == (list(lab.service.leases) if arrived else [])
    assert lab.service.calls == ["CreateLease", "DeleteLease"]
    assert "could not be released" not in caplog.text


async def test_a_lease_is_released_however_its_user_leaves(lab: FakeLab):
    with pytest.raises(LookupError):
        async with lab.lease() as wanted, wanted:
            raise LookupError
    with anyio.CancelScope() as scope:
        async with lab.lease() as wanted, wanted:
            scope.cancel()
            await anyio.sleep_forever()
    assert lab.service.deleted == list(lab.service.leases)


@pytest.mark.parametrize("code", [grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.UNKNOWN])
async def test_a_release_that_fails_raises_nothing(
    lab: FakeLab, code: grpc.StatusCode, caplog: pytest.LogCaptureFixture
):
    lab.service.refuse("DeleteLease", (code, "no"))
    async with lab.lease() as wanted, wanted as held:
        pass
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    expected = f"lease {held.name} could not be released, and lasts until its end: no; "
    if code is grpc.StatusCode.UNKNOWN:
        assert [text[: len(expected)] for text in warnings] == [expected]
    else:
        assert warnings == []


async def test_a_release_is_tried_again(lab: FakeLab):
    lab.service.refuse("DeleteLease", AWAY)
    async with lab.lease() as wanted, wanted as held:
        pass
    assert lab.service.deleted == [held.name]


async def test_a_release_has_an_end(lab: FakeLab, caplog: pytest.LogCaptureFixture):
    lab.service.refuse("DeleteLease", *[AWAY] * 1000)
    async with lab.lease() as wanted, wanted:
        pass
    assert "could not be released" in caplog.text


async def test_a_named_lease_is_used_and_stays(lab: FakeLab):
    lab.service.leases["mine"] = lease_message("mine", GRANTED)
    async with lab.lease(name="mine", release=False) as wanted, wanted as held:
        assert (held.name, held.exporter_name) == ("mine", EXPORTER)
    assert lab.service.calls == ["GetLease", "GetExporter"]


async def test_a_named_lease_may_have_to_wait(lab: FakeLab):
    lab.service.leases["mine"] = lease_message("mine", WAITING)

    def grant(_: str) -> None:
        lab.service.change("mine", lambda message: set_conditions(message, GRANTED))

    async with lab.lease(name="mine", release=False, waiting_callback=grant) as wanted, wanted:
        pass


async def test_a_named_lease_that_is_over(lab: FakeLab):
    lab.service.leases["mine"] = lease_message("mine", GRANTED)
    end(lab.service.leases["mine"])
    with pytest.raises(LeaseEndedError, match=r"^lease mine has ended; take another one$"):
        async with lab.lease(name="mine", release=False) as wanted, wanted:
            pytest.fail("there is no lease")


async def test_a_named_lease_of_another_client(lab: FakeLab):
    other = f"namespaces/{NAMESPACE}/clients/you"
    lab.service.leases["mine"] = lease_message("mine", GRANTED, client=other)
    with pytest.raises(LeaseError, match=r"^lease mine is held by you, not by me$"):
        async with lab.lease(name="mine", release=False) as wanted, wanted:
            pytest.fail("there is no lease")


@pytest.mark.parametrize("stated", ["a=b,board=x", "board in (x)"])
async def test_a_named_lease_with_what_is_asked_for(lab: FakeLab, stated: str):
    lab.service.leases["mine"] = lease_message("mine", GRANTED, selector=stated)
    async with lab.lease(name="mine", release=False) as wanted, wanted as held:
        assert held.name == "mine"


@pytest.mark.parametrize("stated", ["a=b", "<none>"])
async def test_a_named_lease_for_something_else_is_not_used(lab: FakeLab, stated: str):
    lab.service.leases["mine"] = lease_message("mine", GRANTED, selector=stated)
    async with lab.lease(name="mine", release=False) as wanted, wanted as held:
        assert held.name != "mine"
    assert lab.service.deleted == [held.name]


async def test_a_named_lease_that_is_unknown(lab: FakeLab):
    with pytest.raises(errors.ConnectionError, match="lease mine not found"):
        async with lab.lease(name="mine", release=False) as wanted, wanted:
            pytest.fail("there is no lease")


async def test_an_exporter_may_be_unknown(lab: FakeLab):
    lab.service.exporters.clear()
    async with lab.lease() as wanted, wanted as held:
        assert (held.exporter_name, held.exporter_labels) == (EXPORTER, {})


def test_names_of_leases_sort_by_time():
    names = [acquisition.lease_name(time, (1 << 80) - 1 - time) for time in (1, 2, 1 << 40)]
    assert names == sorted(names)
    assert {UUID(name).version for name in names} == {7}
    assert {UUID(name).variant for name in names} == {UUID(int=0x8 << 60).variant}


async def test_the_duration_is_what_was_asked_for(lab: FakeLab):
    async with lab.lease(duration=timedelta(hours=2)) as wanted, wanted as held:
        assert held.duration == timedelta(hours=2)
        assert lab.service.requests[0].lease.duration.seconds == 7200
        assert lab.service.requests[0].lease.selector == "board=x"
