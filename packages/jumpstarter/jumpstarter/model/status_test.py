"""Statuses and sources have the numbers of the protocol, and stand what a newer peer sends."""

import pytest
from jumpstarter_protocol.jumpstarter.v1 import common_pb2

from jumpstarter.model.status import READY, READY_OR_HOOK, ExporterStatus, LogSource


def test_statuses_have_the_numbers_of_the_protocol():
    ours = {f"EXPORTER_STATUS_{item.name}": item.to_proto() for item in ExporterStatus}
    assert ours == dict(common_pb2.ExporterStatus.items())


def test_sources_have_the_numbers_of_the_protocol():
    ours = {f"LOG_SOURCE_{item.name}": item.to_proto() for item in LogSource}
    assert ours == dict(common_pb2.LogSource.items())


@pytest.mark.parametrize("status", ExporterStatus)
def test_a_status_comes_back_from_its_number(status: ExporterStatus):
    assert ExporterStatus.from_proto(status.to_proto()) is status
    assert str(status) == status.name


@pytest.mark.parametrize("number", [-1, 8, 2**31 - 1])
def test_the_number_of_a_newer_peer_is_unspecified(number: int):
    assert ExporterStatus.from_proto(number) is ExporterStatus.UNSPECIFIED
    assert LogSource.from_proto(number) is LogSource.UNSPECIFIED


def test_a_hook_may_call_whenever_a_client_may():
    assert READY < READY_OR_HOOK
