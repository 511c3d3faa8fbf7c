"""Values: what arrives is what was sent, or sending fails; and release 0.9.0 encodes it alike."""

import json
import math
import subprocess
import sys
from dataclasses import dataclass, field
from enum import Enum, IntEnum, StrEnum
from pathlib import Path
from types import MappingProxyType
from uuid import UUID

import pytest
from google.protobuf.struct_pb2 import Value
from hypothesis import given
from hypothesis import strategies as st
from jumpstarter_protocol import jumpstarter_pb2
from pydantic import BaseModel

from jumpstarter.model.errors import ValueEncodingError
from jumpstarter.model.values import decode_value, encode_value

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
"""What JSON can hold, with integers that a double holds exactly."""

LISTS = 49
STRUCTS = 33
"""How deep lists, or mappings, may be nested: a deeper request cannot be read."""


class Colour(Enum):
    RED = "red"


class Number(IntEnum):
    TWO = 2


class Word(StrEnum):
    YES = "yes"


class Model(BaseModel):
    path: Path = Path("/dev/ttyUSB0")
    word: Word = Word.YES


@dataclass
class Reading:
    voltage: float = 5.0
    parts: dict[str, object] = field(default_factory=dict[str, object])


def sent(value: object) -> object:
    """Return what the far side decodes."""
    request = jumpstarter_pb2.DriverCallRequest(args=[encode_value(value)])
    received = jumpstarter_pb2.DriverCallRequest.FromString(request.SerializeToString())
    return decode_value(received.args[0])


def as_json(value: object) -> str:
    """Return a text that tells 1 from 1.0 and True, and does not depend on the order of keys."""
    return json.dumps(value, sort_keys=True)


def with_floats(value: object) -> object:
    """Return `value` as it is decoded: every number is a float."""
    return json.loads(json.dumps(value), parse_int=float)


@given(PLAIN)
def test_json_arrives_as_it_was_sent(value: object):
    assert as_json(sent(value)) == as_json(with_floats(value))


@given(st.integers() | st.integers(-(2**70), 2**70) | st.integers(2**53 - 9, 2**53 + 9))
def test_an_integer_arrives_exactly_or_is_refused(value: int):
    try:
        received = sent(value)
    except ValueEncodingError:
        assert int(float(value)) != value
    else:
        assert received == value


@given(st.floats())
def test_a_float_arrives_exactly_or_is_refused(value: float):
    try:
        received = sent(value)
    except ValueEncodingError:
        assert not math.isfinite(value)
    else:
        assert isinstance(received, float)
        assert math.copysign(1, received) == math.copysign(1, value)
        assert received == value


@given(st.binary())
def test_bytes_arrive_as_text_or_are_refused(value: bytes):
    try:
        received = sent(value)
    except ValueEncodingError:
        with pytest.raises(UnicodeDecodeError):
            value.decode()
    else:
        assert received == value.decode()


@pytest.mark.parametrize(
    ("value", "decoded"),
    [
        (Colour.RED, "red"),
        (Number.TWO, 2.0),
        (Word.YES, "yes"),
        (Model(), {"path": "/dev/ttyUSB0", "word": "yes"}),
        (Reading(parts={"a": Model()}), {"voltage": 5.0, "parts": {"a": sent(Model())}}),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (bytearray(b"ab"), "ab"),
        ((1, "a"), [1.0, "a"]),
        (frozenset({3}), [3.0]),
        (MappingProxyType({"a": 1}), {"a": 1.0}),
        ({Colour.RED: 1, 2: 3, True: 4}, {"red": 1.0, "2": 3.0, "true": 4.0}),
        ([], []),
        ({}, {}),
    ],
    ids=lambda value: None if isinstance(value, dict) else repr(value),
)
def test_composed_values_have_their_json_form(value: object, decoded: object):
    assert sent(value) == decoded


def test_an_unset_value_is_none():
    assert decode_value(Value()) is None


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (math.nan, "arg: nan has no JSON form"),
        (-math.inf, "arg: -inf has no JSON form"),
        (2**53 + 1, "arg: 9007199254740993 does not fit a double exactly; send it as a string"),
        (10**400, "arg: an integer of 1329 bits does not fit"),
        pytest.param(-(10**5000), "arg: an integer of 16610 bits does not fit", id="very long"),
        (b"\xff\x00", "arg: 2 bytes that are not UTF-8"),
        ("\udc80", "arg: text that is not UTF-8"),
        (object(), "arg: object cannot be sent"),
        (len, "arg: builtin_function_or_method cannot be sent"),
        ([1, [2, math.nan]], "arg[1][1]: nan"),
        ({"a": {"b": [b"\xff"]}}, "arg['a']['b'][0]: 1 bytes that are not UTF-8"),
        ({"a": "\udc80"}, "arg['a']: text that is not UTF-8"),
        ({"\udc80": 1}, r"arg: the key '\udc80' cannot be sent"),
        ({b"\xff": 1}, r"arg: the key b'\xff' cannot be sent"),
        ({object: 1}, "arg: the key <class 'object'> cannot be sent"),
        ({math.nan: 1}, "a key of arg: nan has no JSON form"),
        ({1: "one", "1": "another"}, "arg: two of its keys are the same text"),
        (Reading(voltage=math.inf), "arg['voltage']: inf has no JSON form"),
        (Reading(parts={"big": 2**53 + 1}), "arg['parts']['big']: 9007199254740993 does not fit"),
        (Reading(parts={"raw": b"\xff"}), "arg: Reading cannot be sent: 'utf-8' codec can't"),
    ],
)
def test_what_would_change_is_refused_with_its_place(value: object, words: str):
    with pytest.raises(ValueEncodingError) as caught:
        encode_value(value, "arg")
    assert str(caught.value).startswith(words)
    assert "\n" not in str(caught.value)


def in_lists(depth: int) -> object:
    value: object = 1.0
    for _ in range(depth):
        value = [value]
    return value


def in_mappings(depth: int) -> object:
    value: object = 1.0
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize("value", [in_lists(LISTS), in_mappings(STRUCTS)])
def test_the_deepest_value_arrives(value: object):
    assert sent(value) == value


def endless() -> list[object]:
    value: list[object] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    "value",
    [in_lists(LISTS + 1), in_mappings(STRUCTS + 1), in_lists(50_000), endless()],
    ids=["lists", "mappings", "very deep", "endless"],
)
def test_what_is_nested_too_deeply_is_refused(value: object):
    with pytest.raises(ValueEncodingError, match="arg: nested too deeply"):
        encode_value(value, "arg")


ALIKE = """
import datetime, decimal, enum, ipaddress, json, pathlib, sys, uuid
from collections import OrderedDict, deque, namedtuple
from dataclasses import dataclass, field
from google.protobuf.json_format import MessageToDict
from jumpstarter.common.serde import encode_value
from pydantic import BaseModel, Field, SecretStr

class Colour(enum.Enum):
    RED = "red"
    NESTED = ("a", 1)

class Number(enum.IntEnum):
    TWO = 2

class Inner(BaseModel):
    when: datetime.date = datetime.date(2024, 2, 29)
    text: bytes = b"text"
    renamed: int = Field(default=1, serialization_alias="alias")

@dataclass
class Outer:
    inner: Inner = field(default_factory=Inner)
    ids: list = field(default_factory=lambda: [uuid.UUID(int=7)])

class Text(str):
    pass

class Whole(int):
    pass

Pair = namedtuple("Pair", "left right")
zone = datetime.timezone(datetime.timedelta(hours=2))

def told(expression):
    value = eval(expression)
    try:
        return json.dumps(MessageToDict(encode_value(value)))
    except ValueError:
        return '"refused"'

json.dump([told(expression) for expression in json.load(sys.stdin)], sys.stdout)
"""

EXPRESSIONS = [
    *("None", "True", "False", "0", "1", "-1", "2**53", "2**60", "-0.0", "1.5", "1e308"),
    *("''", "'a'", "'\\0'", "'é\\U0001f600'", "b''", "b'ab'", "bytearray(b'ab')"),
    *("[]", "[1, [2, None]]", "(1, 'a')", "{3}", "frozenset({3})", "deque([1])", "Pair(1, 'b')"),
    *("{}", "{'a': {'b': [True]}}", "{1: 2, True: 3, None: 4, 1.5: 5}", "{(1, 2): 3}"),
    *("{b'key': 1}", "{Colour.RED: 1}", "{uuid.UUID(int=1): 1}", "OrderedDict(b=1, a=2)"),
    *("Colour.RED", "Colour.NESTED", "Number.TWO", "Text('t')", "Whole(5)"),
    *("Inner()", "Outer()", "[Outer(), {'k': Inner()}]", "SecretStr('hidden')"),
    *("uuid.UUID(int=1)", "pathlib.Path('/a/b')", "pathlib.PurePosixPath('c')"),
    *("datetime.timedelta(seconds=3)", "datetime.timedelta(days=-1, microseconds=1)"),
    *("datetime.datetime(2024, 1, 2, 3, 4, 5, 6)", "datetime.date(2024, 1, 2)"),
    *("datetime.datetime(2024, 1, 2, tzinfo=zone)", "datetime.time(1, 2, 3)"),
    *("datetime.datetime(2024, 1, 2, tzinfo=datetime.timezone.utc)",),
    *("decimal.Decimal('1.50')", "1 + 2j", "ipaddress.ip_address('::1')"),
    *("ipaddress.ip_network('10.0.0.0/8')", "(item for item in 'ab')"),
    *("range(2)", "object()", "b'\\xff'", "'\\udc80'", "memoryview(b'ab')", "{object: 1}"),
]


def encodings(interpreter: Path) -> dict[str, object]:
    """Return what the package beside `interpreter` makes of each expression, as JSON."""
    argv = [str(interpreter), "-I", "-c", ALIKE]
    done = subprocess.run(
        argv, input=json.dumps(EXPRESSIONS), stdout=subprocess.PIPE, text=True, check=True
    )
    told = [json.loads(item) for item in json.loads(done.stdout)]
    return dict(zip(EXPRESSIONS, told, strict=True))


@pytest.mark.timeout(300)  # The first test to ask for the environment of the peer makes it.
def test_release_0_9_0_encodes_alike(peer_interpreter: Path):
    ours = encodings(Path(sys.executable))
    assert ours == encodings(peer_interpreter)
    assert ours["Outer()"] != ours["object()"] == "refused"
