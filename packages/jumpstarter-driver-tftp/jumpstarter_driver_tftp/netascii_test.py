"""Text both ways, whole and cut anywhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jumpstarter_driver_tftp.netascii import Codec, Decoder, Encoder, Octet


def run(codec: Codec, chunks: list[bytes]) -> bytes:
    return b"".join(codec.feed(chunk) for chunk in chunks) + codec.end()


@pytest.mark.parametrize(
    ("text", "wire"),
    [
        pytest.param(b"", b"", id="empty"),
        pytest.param(b"plain", b"plain", id="plain"),
        pytest.param(b"a\nb\n", b"a\r\nb\r\n", id="lines"),
        pytest.param(b"a\rb", b"a\r\0b", id="bare CR"),
        pytest.param(b"a\r\nb", b"a\r\0\r\nb", id="CR LF in the file"),
        pytest.param(b"\r", b"\r\0", id="CR at the end"),
        pytest.param(b"\n\r\n\r", b"\r\n\r\0\r\n\r\0", id="mixed"),
    ],
)
def test_text_and_wire(text: bytes, wire: bytes):
    assert run(Encoder(), [text]) == wire
    assert run(Decoder(), [wire]) == text


@pytest.mark.parametrize(
    ("chunks", "text"),
    [
        pytest.param([b"a\r", b"\nb"], b"a\nb", id="CR and LF in two chunks"),
        pytest.param([b"a\r", b"\0b"], b"a\rb", id="CR and NUL in two chunks"),
        pytest.param([b"a\r", b"", b"\n"], b"a\n", id="empty chunk between"),
        pytest.param([b"a\r"], b"a\r", id="CR at the very end"),
        pytest.param([b"a\rb"], b"a\rb", id="CR that is not netascii"),
    ],
)
def test_decoding_across_chunks(chunks: list[bytes], text: bytes):
    assert run(Decoder(), chunks) == text


_bytes = st.text("ab\r\n\0").map(str.encode)


@given(_bytes, st.integers(1, 7))
def test_any_text_survives_any_block_size(text: bytes, size: int):
    wire = run(Encoder(), [text[i : i + size] for i in range(0, len(text), size)])
    blocks = [wire[i : i + size] for i in range(0, len(wire), size)]
    assert run(Decoder(), blocks) == text


def test_octet_changes_nothing():
    assert run(Octet(), [b"\r\n", b"\0"]) == b"\r\n\0"
