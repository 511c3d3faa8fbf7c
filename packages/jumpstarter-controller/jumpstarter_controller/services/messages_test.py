"""What the lab says on the wire, and what of the wire it takes."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from jumpstarter_protocol import kubernetes_pb2

from jumpstarter_controller.errors import InvalidRequest
from jumpstarter_controller.objects import Condition
from jumpstarter_controller.services.messages import (
    LabelRules,
    condition_messages,
    legacy_selector,
    parse_legacy_selector,
)
from jumpstarter_controller.services.resource_names import LEASES, parse_path, path_of
from jumpstarter_controller.services.statuses import BadForm
from jumpstarter_controller.services.times import (
    MAX_DURATION,
    duration,
    parse_duration,
    parse_timestamp,
    timestamp,
)
from jumpstarter_controller.validation import canonical_selector

NOW = datetime(2026, 3, 1, tzinfo=UTC)
INT64 = st.integers(-(2**63), 2**63 - 1)
INT32 = st.integers(-(2**31), 2**31 - 1)


def condition(kind: str) -> Condition:
    return Condition(type=kind, status=True, reason="R", message="m", last_transition=NOW)


def test_ready_is_the_last_condition_and_the_others_keep_their_order() -> None:
    told = condition_messages(map(condition, ["Ready", "Pending", "Invalid"]))

    assert [item.type for item in told] == ["Pending", "Invalid", "Ready"]
    assert (told[0].status, told[0].lastTransitionTime.seconds) == ("True", NOW.timestamp())


@pytest.mark.parametrize(
    "selector", ["", "a=b", "a", "!a", "a in (b,c)", "a notin (b)", "!a,b=c,d in (e),f notin (g,h)"]
)
def test_a_selector_survives_the_form_of_the_old_calls(selector: str) -> None:
    assert canonical_selector(parse_legacy_selector(legacy_selector(selector))) == selector


@pytest.mark.parametrize(
    "message",
    [
        kubernetes_pb2.LabelSelector(match_labels={"a": "b,c=d"}),
        kubernetes_pb2.LabelSelector(match_labels={"a,!b": "c"}),
        kubernetes_pb2.LabelSelector(match_labels={"": "c"}),
        *(
            kubernetes_pb2.LabelSelector(
                match_expressions=[
                    kubernetes_pb2.LabelSelectorRequirement(
                        key=key, operator=operator, values=values
                    )
                ]
            )
            for key, operator, values in [
                ("a", "", ["b"]),
                ("a", "In", []),
                ("a", "NotIn", []),
                ("a", "Exists", ["b"]),
                ("a", "in", ["b"]),
                ("a", "In", ["b)"]),
                ("!a", "Exists", []),
                ("a", "Gt", ["5"]),
            ]
        ),
    ],
)
def test_a_selector_of_the_old_calls_that_cannot_be(message: kubernetes_pb2.LabelSelector) -> None:
    with pytest.raises(InvalidRequest):
        parse_legacy_selector(message)


def test_a_label_that_is_going_away_is_not_shown_and_yet_told() -> None:
    rules = LabelRules(hidden=frozenset({"a"}), deprecated={"b": "use c"})

    assert rules.shown({"a": "1", "b": "2", "c": "3"}) == {"c": "3"}
    assert rules.advice(["a", "b", "c"]) == {"b": "use c"}


@given(INT64, INT32)
def test_any_time_is_one_or_is_refused(seconds: int, nanos: int) -> None:
    message = Timestamp(seconds=seconds, nanos=nanos)
    with suppress(InvalidRequest):
        time = parse_timestamp("begin_time", message)
        assert timestamp(time + MAX_DURATION - MAX_DURATION).seconds == seconds


@given(INT64, INT32)
def test_any_length_is_one_or_is_refused(seconds: int, nanos: int) -> None:
    with suppress(InvalidRequest):
        length = parse_duration("duration", Duration(seconds=seconds, nanos=nanos))
        assert abs(length) <= MAX_DURATION + timedelta(seconds=1)


@given(st.integers(-(10**15), 10**15))
def test_a_length_survives_the_wire(microseconds: int) -> None:
    length = timedelta(microseconds=microseconds)

    assert parse_duration("duration", duration(length)) == length


@given(st.text())
def test_any_text_is_a_name_or_is_refused(text: str) -> None:
    try:
        namespace, _, name = parse_path(text, LEASES)
    except BadForm:
        pass
    else:
        assert path_of(namespace, LEASES, name) == text
