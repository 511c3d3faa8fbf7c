"""Words for what people read: names, sizes, speeds. Pure.

Names come from whoever sends a datagram, so nothing of them reaches a terminal as it is.
"""

_SHOWN = 100
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
_STEP = 1024


def quoted(text: str, mark: str = "`") -> str:
    """Return a text between marks, cut when it is long, with nothing that a terminal would obey."""
    cut = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    plain = "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in cut
    )
    return f"{mark}{plain}{mark}"


def size_in_words(size: float) -> str:
    """Return a number of bytes in the unit that makes it short."""
    unit = 0
    while size >= _STEP and unit < len(_UNITS) - 1:
        size /= _STEP
        unit += 1
    return f"{size:.1f} {_UNITS[unit]}" if unit else f"{size:.0f} {_UNITS[unit]}"


def speed_in_words(size: float, seconds: float) -> str:
    """Return a rate, in the units in which boot loaders tell theirs."""
    return f"{size_in_words(size / max(seconds, 1e-6))}/s"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
