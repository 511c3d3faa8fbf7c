"""What is refused for leases that have ended, and for how long."""

from jumpstarter_router.claims import LONGEST
from jumpstarter_router.fences import MEMORY, Fences


def test_only_what_is_older_is_refused():
    fences = Fences()
    fences.raise_to("lease", 3, 0.0)
    assert [fences.admits("lease", fence) for fence in (0, 2, 3, 4)] == [False, False, True, True]
    assert fences.admits("another", 0)


def test_a_fence_is_never_lowered():
    fences = Fences()
    fences.raise_to("lease", 3, 0.0)
    fences.raise_to("lease", 1, 1.0)
    assert not fences.admits("lease", 2)


def test_it_is_forgotten_when_no_token_is_left():
    fences = Fences()
    fences.raise_to("one", 3, 0.0)
    fences.raise_to("two", 3, 10.0)
    fences.raise_to("one", 2, 20.0)
    fences.raise_to("three", 1, MEMORY + 11.0)
    assert not fences.admits("one", 2)
    assert fences.admits("two", 2)
    assert len(fences) == 2
    assert MEMORY > LONGEST
