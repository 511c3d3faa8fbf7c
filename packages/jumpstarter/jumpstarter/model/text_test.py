"""Text that is carried: whole, or cut between two letters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jumpstarter.model.text import fit

ANYTHING = st.text(alphabet=st.characters(codec=None, categories=None), max_size=60)


@pytest.mark.parametrize(
    ("text", "limit", "carried"),
    [
        ("", 0, ""),
        ("abc", 3, "abc"),
        ("abcd", 3, "abc... (1 more bytes)"),
        ("\u00e9\u00e9", 3, "\u00e9... (2 more bytes)"),
        ("\udcff", 10, r"\udcff"),
        ("a\nb", 10, "a\nb"),
    ],
)
def test_what_is_carried(text: str, limit: int, carried: str):
    assert fit(text, limit) == carried


@given(ANYTHING, st.integers(0, 80))
def test_nothing_but_the_end_is_ever_missing(text: str, limit: int):
    carried = fit(text, limit)
    data = text.encode(errors="backslashreplace")
    if len(data) <= limit:
        assert carried.encode() == data
    else:
        kept, _, rest = carried.rpartition("... (")
        assert data.startswith(kept.encode())
        assert limit - len(kept.encode()) < 4
        assert rest == f"{len(data) - len(kept.encode())} more bytes)"
