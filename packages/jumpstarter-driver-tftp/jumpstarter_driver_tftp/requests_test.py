"""What becomes of datagrams at the server's port, and of a request that comes again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jumpstarter_driver_tftp.options import Terms
from jumpstarter_driver_tftp.packet import Data, Error, Oack, Opcode, Request, parse
from jumpstarter_driver_tftp.requests import Earlier, Repeat, judge, judge_repeat, open_sender
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
    machine = open_sender(request, Terms(), size, tries=3)
    machine.supply(b"a\nb", 0.0, last=True)
    assert first_packet(machine.start(0.0)) == packet
