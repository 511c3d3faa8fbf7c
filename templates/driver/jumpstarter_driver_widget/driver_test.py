"""Driver and client, joined by a real exporter on a Unix socket."""

from collections.abc import Generator
from typing import cast

import pytest
from click.testing import CliRunner
from jumpstarter.client.core import DriverInvalidArgument
from jumpstarter.common.utils import serve

from .client import WidgetClient
from .driver import Widget


@pytest.fixture
def client() -> Generator[WidgetClient]:
    with serve(Widget(limit=3)) as client:
        yield cast("WidgetClient", client)


def test_a_level_that_was_set_is_read_back(client: WidgetClient):
    client.set_level(2)
    assert client.get_level() == 2


def test_a_level_above_the_limit_is_refused(client: WidgetClient):
    with pytest.raises(DriverInvalidArgument, match="level 4 is not between 0 and 3"):
        client.set_level(4)
    assert client.get_level() == 0


def test_a_ramp_yields_each_level_on_the_way(client: WidgetClient):
    assert list(client.ramp(3)) == [1, 2, 3]
    assert list(client.ramp(1)) == [2, 1]


def test_the_commands_reach_the_device(client: WidgetClient):
    runner = CliRunner()
    assert runner.invoke(client.cli(), ["set", "1"]).exit_code == 0
    assert runner.invoke(client.cli(), ["get"]).output == "1\n"
    assert runner.invoke(client.cli(), ["ramp", "3"]).output == "2\n3\n"
