from datetime import UTC, datetime

import pytest

from .times import parse_instant


def test_instants():
    assert parse_instant("2030-01-31T08:00Z") == datetime(2030, 1, 31, 8, tzinfo=UTC)
    assert parse_instant("2030-01-31T08:00+02:00") == datetime(2030, 1, 31, 6, tzinfo=UTC)
    assert parse_instant("2030-01-31T08:00") == datetime(2030, 1, 31, 8).astimezone()
    assert parse_instant("2030-01-31").utcoffset() is not None


@pytest.mark.parametrize("text", ["", "now", "2030-13-01", "8:00", "tomorrow"])
def test_texts_that_are_no_instant(text: str):
    with pytest.raises(ValueError, match="is no date and time; write them as 2030-01-31T08:00"):
        parse_instant(text)
