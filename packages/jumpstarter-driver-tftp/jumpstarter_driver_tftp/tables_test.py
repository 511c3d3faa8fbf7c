"""The table of requests: aligned, and safe on a terminal."""

from dataclasses import replace
from datetime import UTC

from jumpstarter_driver_tftp.reports import Report, State
from jumpstarter_driver_tftp.reports_test import REPORT
from jumpstarter_driver_tftp.tables import headings, row, table
from jumpstarter_driver_tftp.wording import quoted, size_in_words, speed_in_words

STRAY = Report(
    number=2, client="10.0.0.7:1", server="", action="", name="", state=State.REFUSED, code=4
)


def test_table():
    done = replace(REPORT, client="10.0.0.7:2001", name="boot", done=3 << 20, resent=1)
    done = replace(done, state=State.COMPLETE)
    assert table([done, STRAY], UTC) == [
        "TIME      CLIENT         DOES    BYTES      SPEED  AGAIN  OUTCOME      NAME  OPTIONS",
        "01:46:40  10.0.0.7:2001  read  3.0 MiB  1.5 MiB/s      1  complete     boot  blksize=1468",
        "00:00:00  10.0.0.7:1     -           -          -      0  refused (4)  -",
    ]
    assert table([]) == []


def test_following_lines_are_below_their_headings():
    line = row(REPORT, UTC)
    assert headings().index("NAME") == line.index("boot.img")
    assert headings().index("OUTCOME") == line.index("silent")


def test_nothing_reaches_the_terminal_as_it_is():
    assert "\\x1b[2J" in row(replace(REPORT, name="\x1b[2J"))
    assert quoted("a\udcff\n") == "`a\\udcff\\n`"
    assert quoted("é") == "`é`"


def test_sizes_and_speeds():
    sizes = [size_in_words(size) for size in (0, 1023, 1024, 1536, 5 << 20, 3 << 40, 5 << 50)]
    assert sizes == [
        "0 bytes",
        "1023 bytes",
        "1.0 KiB",
        "1.5 KiB",
        "5.0 MiB",
        "3.0 TiB",
        "5120.0 TiB",
    ]
    assert speed_in_words(1, 0.0) == "976.6 KiB/s"
    assert speed_in_words(3 << 20, 2.0) == "1.5 MiB/s"
