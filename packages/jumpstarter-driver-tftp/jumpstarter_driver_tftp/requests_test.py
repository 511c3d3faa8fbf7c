"""What becomes of datagrams at the server's port, and of a request that comes again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jumpstarter_driver_tftp.errors import FileRefused
from jumpstarter_driver_tftp.options import Offer, Terms
from jumpstarter_driver_tftp.packet import Ack, Data, Error, Oack, Opcode, Request, parse
from jumpstarter_driver_tftp.requests import (
    Earlier,
    Repeat,
    judge,
    judge_repeat,
    open_receiver,
    open_sender,
    requested,
)
from jumpstarter_driver_tftp.transfer import Command, Send


@pytest.mark.parametrize(
    ("datagram", "judged"),
    [
        pytest.param(b"\0\1f\0octet\0", Request(Opcode.RRQ, "f", "octet"), id="octet"),
        pytest.param(b"\0\1f\0NETASCII\0", Request(Opcode.RRQ, "f", "netascii"), id="netascii"),
        pytest.param(b"\0\1f\0mail\0", Error(4, "Unsupported transfer mode"), id="mail"),
        pytest.param(b"\0\2f\0octet\0", Error(2, "Writing is not allowed"), id="write"),
        pytest.param(b"\0\3\0\1x", Error(4, "Unsupported operation"), id="data"),
        pytest.param(b"\0\4\0\1", Error(4, "Unsupported operation"), id="ack"),
        pytest.param(b"\0\6a\0b\0", Error(4, "Unsupported operation"), id="oack"),
        pytest.param(b"\0\5\0\1x\0", None, id="error"),
        pytest.param(b"\0\5", None, id="error cut short"),
        pytest.param(b"\0\1f", Error(4, "Malformed packet"), id="malformed"),
        pytest.param(b"\0\77\0\0", Error(4, "Unknown opcode"), id="unknown"),
    ],
)
def test_judged(datagram: bytes, judged: Request | Error | None):
    assert judge(datagram) == judged


def test_write_request_is_welcome_where_files_may_be_written():
    assert judge(b"\0\2f\0octet\0", writable=True) == Request(Opcode.WRQ, "f", "octet")
    assert judge(b"\0\2f\0mail\0", writable=True) == Error(4, "Unsupported transfer mode")


def test_request_is_known_whatever_becomes_of_it():
    assert requested(b"\0\2f\0mail\0") == Request(Opcode.WRQ, "f", "mail")
    assert requested(b"\0\4\0\1") is requested(b"\0\1f") is requested(b"") is None


@given(st.binary(max_size=60).map(lambda tail: b"\0" + tail))
def test_an_answer_is_never_answered(datagram: bytes):
    judged = judge(datagram)
    if isinstance(judged, Error):
        assert judge(judged.encode()) is None


@pytest.mark.parametrize(
    ("same", "heard", "seconds", "meaning"),
    [
        pytest.param(True, False, 0.001, Repeat.RESEND, id="our answer was lost"),
        pytest.param(True, False, 60.0, Repeat.RESEND, id="our answers were lost for long"),
        pytest.param(True, True, 0.5, Repeat.IGNORE, id="the network repeats it"),
        pytest.param(True, True, 1.0, Repeat.REPLACE, id="the client begins anew"),
        pytest.param(False, False, 0.001, Repeat.REPLACE, id="another file"),
        pytest.param(False, True, 0.001, Repeat.REPLACE, id="another file in the middle"),
    ],
)
def test_request_that_comes_again(same: bool, heard: bool, seconds: float, meaning: Repeat):
    earlier = Earlier(b"request", began=100.0, heard=heard)
    datagram = b"request" if same else b"other"
    assert judge_repeat(earlier, datagram, 100.0 + seconds) is meaning


@given(
    name=st.text(min_size=1),
    values=st.dictionaries(
        st.sampled_from(["blksize", "timeout", "tsize", "windowsize", "x"]),
        st.integers(0, 10**6).map(str),
    ),
    size=st.integers(0, 10**8 - 1),
)
def test_first_answer_to_options_is_not_larger_than_the_request(
    name: str, values: dict[str, str], size: int
):
    request = Request(Opcode.RRQ, name, "octet", tuple(values.items()))
    machine, granted = open_sender(request, Offer(Terms(), size=size), tries=3)
    machine.supply(bytes(70_000), 0.0, last=True)
    if granted:
        [command] = machine.start(0.0)
        assert isinstance(command, Send)
        assert len(command.datagram) <= len(request.encode())


@given(st.binary(max_size=40))
def test_error_to_a_tiny_datagram_fits_the_smallest_frame_or_nearly(datagram: bytes):
    judged = judge(datagram)
    if isinstance(judged, Error):
        assert len(judged.encode()) <= 30  # 18 fit, beside the headers of IP and UDP


def write_request(mode: str = "octet", **options: str) -> Request:
    return Request(Opcode.WRQ, "f", mode, tuple(options.items()))


@pytest.mark.parametrize(
    ("request_", "packet"),
    [
        pytest.param(write_request(), Ack(0), id="no options"),
        pytest.param(write_request(tsize="9"), Oack((("tsize", "9"),)), id="size"),
        pytest.param(write_request(tsize="x", x="y"), Ack(0), id="nothing to acknowledge"),
        pytest.param(write_request("netascii", tsize="9"), Oack((("tsize", "9"),)), id="text"),
        pytest.param(
            write_request("netascii", tsize="11"), Oack((("tsize", "11"),)), id="text may shrink"
        ),
    ],
)
def test_first_answer_to_a_write_request(request_: Request, packet: object):
    machine, granted = open_receiver(request_, Offer(Terms()), tries=3, max_bytes=10)
    assert first_packet(machine.start(0.0)) == packet
    assert granted == (packet.options if isinstance(packet, Oack) else ())


def test_file_that_is_announced_too_large_is_refused():
    with pytest.raises(FileRefused) as refused:
        open_receiver(write_request(tsize="11"), Offer(Terms()), tries=3, max_bytes=10)
    assert (refused.value.code, refused.value.text) == (3, "File is larger than 10 bytes")


@pytest.mark.parametrize(("timeout", "seconds"), [("1", 2.0), ("255", 60.0)])
def test_last_ack_is_repeated_for_some_time(timeout: str, seconds: float):
    request = write_request(timeout=timeout)
    machine, _ = open_receiver(request, Offer(Terms()), tries=3, max_bytes=10)
    machine.start(0.0)
    machine.receive(Data(1, b"x").encode(), 100.0)
    assert machine.deadline() == 100.0 + seconds


def first_packet(commands: list[Command]) -> object:
    [command] = commands
    assert isinstance(command, Send)
    return parse(command.datagram)


@pytest.mark.parametrize(
    ("mode", "options", "size", "packet"),
    [
        pytest.param("octet", {}, 3, Data(1, b"a\nb"), id="no options"),
        pytest.param("octet", {"tsize": "0"}, 3, Oack((("tsize", "3"),)), id="size"),
        pytest.param("octet", {"tsize": "0"}, None, Data(1, b"a\nb"), id="size not known"),
        pytest.param("netascii", {"tsize": "0"}, 3, Data(1, b"a\r\nb"), id="size of text"),
        pytest.param("octet", {"x": "y"}, 3, Data(1, b"a\nb"), id="nothing to acknowledge"),
    ],
)
def test_first_answer(mode: str, options: dict[str, str], size: int | None, packet: object):
    request = Request(Opcode.RRQ, "f", mode, tuple(options.items()))
    machine, _ = open_sender(request, Offer(Terms(), size=size), tries=3)
    machine.supply(b"a\nb", 0.0, last=True)
    assert first_packet(machine.start(0.0)) == packet
