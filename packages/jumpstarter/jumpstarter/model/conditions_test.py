"""Conditions: the first of a type decides."""

import pytest
from jumpstarter_protocol import kubernetes_pb2

from jumpstarter.model.conditions import (
    condition_false,
    condition_message,
    condition_present_and_equal,
    condition_true,
)

CONDITIONS = [
    kubernetes_pb2.Condition(type="Ready", status="False", reason="Waiting", message="in line"),
    kubernetes_pb2.Condition(type="Ready", status="True", reason="Granted", message="go on"),
    kubernetes_pb2.Condition(type="Pending", status="True", reason="Busy", message="taken"),
    kubernetes_pb2.Condition(type="Invalid", status="Unknown"),
]


@pytest.mark.parametrize(
    ("kind", "true", "false"),
    [
        ("Ready", False, True),
        ("Pending", True, False),
        ("Invalid", False, False),
        ("Absent", False, False),
    ],
)
def test_first_condition_of_a_type_decides(kind: str, true: bool, false: bool):
    assert condition_true(CONDITIONS, kind) is true
    assert condition_false(CONDITIONS, kind) is false


@pytest.mark.parametrize(
    ("kind", "status", "reason", "equal"),
    [
        ("Pending", "True", None, True),
        ("Pending", "True", "Busy", True),
        ("Pending", "True", "Other", False),
        ("Pending", "False", "Busy", False),
        ("Ready", "True", "Granted", False),
        ("Absent", "True", None, False),
    ],
)
def test_present_and_equal(kind: str, status: str, reason: str | None, equal: bool):
    assert condition_present_and_equal(CONDITIONS, kind, status, reason) is equal


@pytest.mark.parametrize(
    ("kind", "reason", "message"),
    [
        ("Ready", None, "in line"),
        ("Ready", "Granted", "go on"),
        ("Ready", "Other", None),
        ("Invalid", None, ""),
        ("Absent", None, None),
    ],
)
def test_message(kind: str, reason: str | None, message: str | None):
    assert condition_message(CONDITIONS, kind, reason) == message
