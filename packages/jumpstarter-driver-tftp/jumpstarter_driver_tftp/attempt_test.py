"""When the doctor takes an attempt for over, and what it concludes from it."""

from dataclasses import replace
from typing import Any

import pytest

from jumpstarter_driver_tftp.doctor import Attempt, Rules, conclude, instructions, served
from jumpstarter_driver_tftp.doctor_test import BASE, STATUS, refused, silent
from jumpstarter_driver_tftp.reports import Report, State, Status

RUNNING = replace(BASE, state=State.RUNNING)


def attempt(**rules: Any) -> Attempt:
    return Attempt(replace(Rules(wait=60.0, quiet=5.0), **rules), now=100.0)


def test_attempt_waits_for_the_first_request():
    watched = attempt()
    assert watched.deadline() == 160.0
    assert not watched.is_over(159.9)
    assert watched.is_over(160.0)


def test_attempt_is_not_over_while_a_request_runs():
    watched = attempt()
    assert not watched.take(RUNNING, 120.0)
    assert watched.deadline() is None
    assert not watched.is_over(1e9)
    assert watched.take(BASE, 130.0)
    assert watched.deadline() == 135.0
    assert not watched.is_over(134.9)
    assert watched.is_over(135.0)


def test_attempt_goes_on_with_another_request():
    watched = attempt()
    watched.take(BASE, 130.0)
    watched.take(replace(RUNNING, number=2), 134.0)
    assert not watched.is_over(136.0)
    watched.take(replace(BASE, number=2), 140.0)
    assert watched.deadline() == 145.0
    assert [report.number for report in watched.ended] == [1, 2]


def test_request_that_overlaps_another_keeps_it_open():
    watched = attempt()
    watched.take(RUNNING, 120.0)
    watched.take(replace(BASE, number=2), 121.0)
    assert watched.deadline() is None


def test_end_that_is_told_twice_counts_once():
    watched = attempt()
    assert watched.take(BASE, 130.0)
    assert not watched.take(BASE, 131.0)
    assert watched.deadline() == 135.0
    assert len(watched.ended) == 1


def test_requests_from_before_do_not_count():
    watched = attempt(after=1)
    assert not watched.take(BASE, 130.0)
    assert watched.deadline() == 160.0
    assert watched.take(replace(BASE, number=2), 130.0)


def test_first_that_asks_is_the_device():
    watched = attempt()
    assert watched.take(replace(BASE, client="10.0.0.7:2002"), 110.0)
    assert not watched.take(replace(BASE, number=2, client="10.0.0.8:2001"), 110.0)
    assert watched.take(replace(BASE, number=3, client="10.0.0.7:3000"), 110.0)
    assert (watched.client, watched.others) == ("10.0.0.7", {"10.0.0.8"})


@pytest.mark.parametrize(
    ("client", "asks"),
    [
        ("10.0.0.7", "10.0.0.7:1"),
        ("fd00::7", "[fd00:0:0::7]:1"),
        ("fe80::1%eth0", "[fe80::1%eth0]:1"),
    ],
)
def test_only_the_named_device_counts(client: str, asks: str):
    watched = attempt(client=client)
    assert not watched.take(replace(BASE, client="10.0.0.9:1"), 110.0)
    assert watched.take(replace(BASE, number=2, client=asks), 110.0)
    assert watched.others == {"10.0.0.9"}


def test_what_is_no_request_ends_nothing():
    watched = attempt()
    assert watched.take(refused(4, "Unknown opcode", action="", client="10.0.0.9:1"), 110.0)
    assert (watched.client, watched.deadline(), watched.strays) == (None, 160.0, 1)
    assert not served(watched.ended)


def test_last_request_decides():
    missing = refused(1, "File not found", number=2)
    assert served([BASE])
    assert served([silent(2048)])
    assert not served([])
    assert not served([BASE, missing])
    assert served([missing, replace(BASE, number=3)])
    # Requests that overlap end in another order than they came.
    assert served([replace(BASE, number=3), missing])


def concluded(*reports: Report, status: Status = STATUS, **rules: Any) -> list[str]:
    watched = attempt(**rules)
    for report in reports:
        watched.take(report, 110.0)
    return conclude(watched, status)


def test_conclusions():
    missing = refused(1, "File not found", number=2, name="a")
    assert concluded(BASE) == [
        "Good: 10.0.0.7 got the last file, `boot.img` (1 request, 1 served)."
    ]
    assert concluded(BASE, missing) == [
        "Failed: 10.0.0.7 did not get the last file, `a` (2 requests, 1 served)."
    ]


def test_nothing_came():
    lines = concluded()
    assert lines[0] == "Failed: no request came."
    assert lines[1].startswith("Is 10.0.0.1 what DHCP hands out as next-server (option 66)")
    assert "drop UDP port 69?" in lines[-1]


def test_nothing_came_from_the_device():
    lines = concluded(replace(BASE, client="10.0.0.9:1"), client="10.0.0.7")
    assert lines[:2] == [
        "Failed: no request came from 10.0.0.7.",
        "Others asked: 10.0.0.9. Is one of them the device?",
    ]


def test_nothing_came_to_where_nothing_can_come():
    local = replace(STATUS, host="::1", port=6969, running=False)
    assert concluded(status=local)[1:4] == [
        "The server was stopped meanwhile.",
        "::1 is reached from this machine only: set another `host`.",
        "Boot ROMs ask port 69, and this server listens on 6969.",
    ]


def test_instructions():
    assert "\n".join(instructions(STATUS)) == (
        "Files are served at tftp://10.0.0.1/\n"
        "Point the device there: DHCP next-server (option 66), or in U-Boot "
        "`setenv serverip 10.0.0.1`."
    )
    other = replace(STATUS, port=6969, url="tftp://[fd00::1]:6969/")
    assert "`setenv serverip fd00::1`" in instructions(other)[1]
    assert instructions(other)[2:] == [
        "Boot ROMs know only port 69, and this is 6969; in U-Boot `setenv tftpdstp 6969`."
    ]
