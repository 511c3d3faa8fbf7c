"""Every packet to bytes and back, and what becomes of bytes that are none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jumpstarter_driver_tftp.errors import PacketError
from jumpstarter_driver_tftp.packet import (
    Ack,
    Data,
    Error,
    Oack,
    Opcode,
    Packet,
    Request,
    acknowledged,
    encode_blocks,
    parse,
)

WIRE: list[tuple[str, Packet, bytes]] = [
    ("read", Request(Opcode.RRQ, "boot.img", "octet"), b"\0\1boot.img\0octet\0"),
    ("write", Request(Opcode.WRQ, "a", "netascii"), b"\0\2a\0netascii\0"),
    (
        "options",
        Request(Opcode.RRQ, "a", "octet", (("blksize", "1468"), ("tsize", "0"))),
        b"\0\1a\0octet\0blksize\x001468\0tsize\x000\0",
    ),
    ("sub-directory", Request(Opcode.RRQ, "pxe/boot.img", "octet"), b"\0\1pxe/boot.img\0octet\0"),
    ("UTF-8 name", Request(Opcode.RRQ, "Gerät", "octet"), b"\0\1Ger\xc3\xa4t\0octet\0"),
    ("name not UTF-8", Request(Opcode.RRQ, "\udcff", "octet"), b"\0\1\xff\0octet\0"),
    ("data", Data(1, b"abc"), b"\0\3\0\1abc"),
    ("empty data", Data(65535, b""), b"\0\3\xff\xff"),
    ("ack", Ack(258), b"\0\4\1\2"),
    ("error", Error(1, "File not found"), b"\0\5\0\1File not found\0"),
    ("oack", Oack((("blksize", "8"),)), b"\0\6blksize\x008\0"),
]


@pytest.mark.parametrize(("packet", "wire"), [case[1:] for case in WIRE], ids=[c[0] for c in WIRE])
def test_packet_and_wire_are_the_same(packet: Packet, wire: bytes):
    assert packet.encode() == wire
    assert parse(wire) == packet


@pytest.mark.parametrize(
    ("wire", "text"),
    [
        pytest.param(b"", "Malformed packet", id="empty"),
        pytest.param(b"\0", "Malformed packet", id="one byte"),
        pytest.param(b"\0\1", "Malformed packet", id="opcode alone"),
        pytest.param(b"\0\4\0", "Malformed packet", id="ack cut short"),
        pytest.param(b"\0\1name", "Malformed packet", id="name without end"),
        pytest.param(b"\0\1name\0octet", "Malformed packet", id="mode without end"),
        pytest.param(b"\0\1name\0", "Malformed packet", id="mode missing"),
        pytest.param(b"\0\7abcd", "Unknown opcode", id="opcode 7"),
        pytest.param(b"\0\0abcd", "Unknown opcode", id="opcode 0"),
        pytest.param(b"\1\1abcd", "Unknown opcode", id="opcode 257"),
    ],
)
def test_not_a_packet(wire: bytes, text: str):
    with pytest.raises(PacketError, match=f"^{text}$"):
        parse(wire)


@pytest.mark.parametrize(
    ("wire", "packet"),
    [
        pytest.param(b"\0\1a\0OcTeT\0", Request(Opcode.RRQ, "a", "octet"), id="mode in any case"),
        pytest.param(
            b"\0\1a\0octet\0\0\0\0\0", Request(Opcode.RRQ, "a", "octet"), id="padded with zeros"
        ),
        pytest.param(
            b"\0\1a\0octet\0blksize\0", Request(Opcode.RRQ, "a", "octet"), id="option without value"
        ),
        pytest.param(
            b"\0\1a\0octet\0blksize\x00512",
            Request(Opcode.RRQ, "a", "octet"),
            id="value without end",
        ),
        pytest.param(b"\0\5", Error(0, ""), id="error cut short"),
        pytest.param(b"\0\5\0\1gone", Error(1, "gone"), id="error text without end"),
        pytest.param(b"\0\4\0\1\0\0\0\0", Ack(1), id="ack with padding"),
    ],
)
def test_tolerated(wire: bytes, packet: Packet):
    assert parse(wire) == packet


@given(st.binary(max_size=100))
def test_any_bytes_are_a_packet_or_a_packet_error(wire: bytes):
    try:
        packet = parse(wire)
    except PacketError:
        assert acknowledged(wire) is None
    else:
        assert (acknowledged(wire) is not None) == isinstance(packet, Ack)


_text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@given(_text, st.lists(st.tuples(_text.filter(bool), _text)))
def test_requests_survive_the_wire(name: str, options: list[tuple[str, str]]):
    request = Request(Opcode.RRQ, name, "octet", tuple(options))
    assert parse(request.encode()) == request


def test_block_numbers_wrap():
    assert Data(65536, b"x").encode() == b"\0\3\0\0x"
    assert Ack(65537).encode() == b"\0\4\0\1"


@pytest.mark.parametrize(
    ("first", "data", "count", "sent"),
    [
        (1, b"abcdefgh", 2, [Data(1, b"abcd"), Data(2, b"efgh")]),
        (1, b"abcdef", 2, [Data(1, b"abcd"), Data(2, b"ef")]),
        (7, b"abcd", 2, [Data(7, b"abcd"), Data(8, b"")]),
        (65535, b"abcdefgh", 2, [Data(65535, b"abcd"), Data(0, b"efgh")]),
        (1, b"", 0, []),
    ],
    ids=["whole", "last is short", "last is empty", "number wraps", "none"],
)
def test_blocks_in_a_row(first: int, data: bytes, count: int, sent: list[Data]):
    assert encode_blocks(first, memoryview(data), 4, count) == [block.encode() for block in sent]
