"""What is granted of what is asked, and what a client accepts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jumpstarter_driver_tftp.errors import OptionError
from jumpstarter_driver_tftp.options import (
    Offer,
    Pairs,
    Terms,
    accept,
    announced_size,
    negotiate,
)

OFFER = Offer(Terms(), max_windowsize=64, size=1000)


def exactly(seconds: float) -> Terms:
    """Return terms with a timeout that the client gave."""
    return Terms(timeout=seconds, exact_timeout=True)


@pytest.mark.parametrize(
    ("asked", "terms", "answer"),
    [
        pytest.param({}, Terms(), {}, id="nothing"),
        pytest.param({"blksize": "8"}, Terms(blksize=8), {"blksize": "8"}, id="smallest block"),
        pytest.param({"blksize": "7"}, Terms(), {}, id="block too small is ignored"),
        pytest.param(
            {"blksize": "65464"}, Terms(blksize=65464), {"blksize": "65464"}, id="largest block"
        ),
        pytest.param(
            {"blksize": "999999"}, Terms(blksize=65464), {"blksize": "65464"}, id="clamped"
        ),
        pytest.param(
            {"blksize": "65465"}, Terms(blksize=65464), {"blksize": "65464"}, id="one too large"
        ),
        pytest.param(
            {"blksize": "99999"}, Terms(blksize=65464), {"blksize": "65464"}, id="more than 16 bits"
        ),
        pytest.param({"blksize": "0"}, Terms(), {}, id="no block"),
        pytest.param({"blksize": "512"}, Terms(), {"blksize": "512"}, id="default is acknowledged"),
        pytest.param(
            {"windowsize": "1"}, Terms(), {"windowsize": "1"}, id="window of 1 is acknowledged"
        ),
        pytest.param({"tsize": "7"}, Terms(tsize=1000), {"tsize": "1000"}, id="tsize not 0"),
        pytest.param({"tsize": "x"}, Terms(), {}, id="tsize not a number"),
        pytest.param(
            {"windowsize": "8", "tsize": "0", "timeout": "2", "blksize": "1468"},
            Terms(1468, 8, 2.0, 1000, exact_timeout=True),
            {"windowsize": "8", "tsize": "1000", "timeout": "2", "blksize": "1468"},
            id="all four",
        ),
        pytest.param({"windowsize": "64"}, Terms(windowsize=64), {"windowsize": "64"}, id="bound"),
        pytest.param({"BlkSize": "99"}, Terms(blksize=99), {"blksize": "99"}, id="any case"),
        pytest.param({"timeout": "1"}, exactly(1), {"timeout": "1"}, id="timeout alone"),
        pytest.param({"timeout": "5"}, exactly(5), {"timeout": "5"}, id="timeout as by default"),
        pytest.param({"timeout": "255"}, exactly(255), {"timeout": "255"}, id="longest"),
        pytest.param({"timeout": "0"}, Terms(), {}, id="timeout 0"),
        pytest.param({"timeout": "256"}, Terms(), {}, id="timeout 256"),
        pytest.param({"tsize": "0"}, Terms(tsize=1000), {"tsize": "1000"}, id="tsize"),
        pytest.param({"windowsize": "4"}, Terms(windowsize=4), {"windowsize": "4"}, id="window"),
        pytest.param({"windowsize": "65535"}, Terms(windowsize=64), {"windowsize": "64"}, id="cap"),
        pytest.param({"windowsize": "0"}, Terms(), {}, id="window 0"),
        pytest.param({"windowsize": "65536"}, Terms(), {}, id="window 65536"),
        pytest.param({"multicast": ""}, Terms(), {}, id="unknown"),
        pytest.param(
            {"x": "1", "blksize": "1024"},
            Terms(blksize=1024),
            {"blksize": "1024"},
            id="unknown beside known",
        ),
        pytest.param(
            {"blksize": "invalid", "timeout": "3"},
            exactly(3),
            {"timeout": "3"},
            id="bad beside good",
        ),
        pytest.param({"blksize": "-8"}, Terms(), {}, id="sign"),
        pytest.param({"blksize": " 1024"}, Terms(), {}, id="space"),
        pytest.param({"blksize": "1_024"}, Terms(), {}, id="underscore"),
        pytest.param({"blksize": "١٠٢٤"}, Terms(), {}, id="digits of another script"),
        pytest.param({"blksize": ""}, Terms(), {}, id="empty"),
        pytest.param({"blksize": "9" * 5000}, Terms(), {}, id="endless number"),
    ],
)
def test_granted(asked: dict[str, str], terms: Terms, answer: dict[str, str]):
    assert negotiate(asked.items(), OFFER) == (terms, tuple(answer.items()))


@pytest.mark.parametrize(
    ("asked", "terms", "answer"),
    [
        pytest.param(
            (("blksize", "1024"), ("BLKSIZE", "2048")),
            Terms(blksize=1024),
            (("blksize", "1024"),),
            id="both good",
        ),
        pytest.param((("blksize", "7"), ("blksize", "2048")), Terms(), (), id="first ignored"),
    ],
)
def test_first_of_duplicates_counts(asked: Pairs, terms: Terms, answer: Pairs):
    assert negotiate(asked, OFFER) == (terms, answer)


@pytest.mark.parametrize(
    ("asked", "size"),
    [
        pytest.param((), None, id="not announced"),
        pytest.param((("TSize", "0"),), 0, id="empty file"),
        pytest.param((("blksize", "8"), ("tsize", "5000000000")), 5_000_000_000, id="above 4 GiB"),
        pytest.param((("tsize", "1"), ("tsize", "2")), 1, id="first of duplicates"),
        pytest.param((("tsize", "-1"),), None, id="not a number"),
    ],
)
def test_announced_size(asked: Pairs, size: int | None):
    assert announced_size(asked) == size


@pytest.mark.parametrize("size", [0, None])
def test_size_that_cannot_be_told_is_left_out(size: int | None):
    assert negotiate([("tsize", "0")], Offer(Terms(), size=size)) == (Terms(), ())


def test_answer_keeps_the_order_of_the_request():
    _, answer = negotiate([("tsize", "0"), ("timeout", "2"), ("blksize", "9")], OFFER)
    assert [name for name, _ in answer] == ["tsize", "timeout", "blksize"]


ASKED: Pairs = (("blksize", "1468"), ("timeout", "3"), ("tsize", "0"), ("windowsize", "16"))


@pytest.mark.parametrize(
    ("acknowledged", "terms"),
    [
        pytest.param((), Terms(), id="nothing"),
        pytest.param((("blksize", "1468"),), Terms(blksize=1468), id="as asked"),
        pytest.param((("BLKSIZE", "8"),), Terms(blksize=8), id="smaller block"),
        pytest.param((("windowsize", "1"),), Terms(), id="smaller window"),
        pytest.param((("timeout", "3"),), exactly(3), id="timeout"),
        pytest.param((("tsize", "77"),), Terms(tsize=77), id="size"),
    ],
)
def test_accepted(acknowledged: Pairs, terms: Terms):
    assert accept(ASKED, acknowledged, Terms()) == terms


@pytest.mark.parametrize(
    "acknowledged",
    [
        pytest.param((("blksize", "1469"),), id="larger block"),
        pytest.param((("blksize", "7"),), id="block below the minimum"),
        pytest.param((("blksize", "x"),), id="not a number"),
        pytest.param((("timeout", "4"),), id="other timeout"),
        pytest.param((("windowsize", "17"),), id="larger window"),
        pytest.param((("windowsize", "0"),), id="no window"),
        pytest.param((("tsize", "-1"),), id="negative size"),
        pytest.param((("multicast", "1"),), id="not asked for"),
    ],
)
def test_refused(acknowledged: Pairs):
    with pytest.raises(OptionError, match=acknowledged[0][0]):
        accept(ASKED, acknowledged, Terms())


_names = st.sampled_from(["blksize", "TIMEOUT", "tsize", "windowsize", "other"])
_values = st.one_of(st.integers(-5, 70000).map(str), st.text(max_size=5))


@given(st.lists(st.tuples(_names, _values), max_size=6).map(tuple))
def test_what_a_server_grants_its_client_accepts(asked: Pairs):
    terms, answer = negotiate(asked, OFFER)
    # A value that the client itself could not mean is clamped, never answered with an error.
    assert accept(asked, answer, Terms()) == terms
