"""What the doctor says of each kind of request."""

from dataclasses import replace
from typing import Any

import pytest

from jumpstarter_driver_tftp.doctor import explain
from jumpstarter_driver_tftp.reports import Report, State, Status

BASE = Report(
    number=1,
    client="10.0.0.7:2001",
    server="10.0.0.1:69",
    action="read",
    name="boot.img",
    mode="octet",
    state=State.COMPLETE,
    size=1 << 20,
    done=1 << 20,
    blocks=2048,
    heard=True,
    seconds=0.5,
)
WRITE = replace(BASE, action="write", name="core")
STATUS = Status(running=True, host="10.0.0.1", port=69, url="tftp://10.0.0.1/")


def silent(blocks: int = 0, **changes: Any) -> Report:
    block_size = changes.get("block_size", 512)
    return replace(
        BASE,
        **{"state": State.SILENT, "blocks": blocks, "done": blocks * block_size, "resent": 2}
        | changes,
    )


def refused(code: int, text: str, **changes: Any) -> Report:
    nothing = {"size": None, "done": 0, "blocks": 0, "heard": False}
    return replace(BASE, **{"state": State.REFUSED, "code": code, "text": text} | nothing | changes)


@pytest.mark.parametrize(
    ("report", "lines"),
    [
        pytest.param(BASE, ["got it, 1.0 MiB in 0.50 s (2.0 MiB/s)"], id="success"),
        pytest.param(
            replace(BASE, size=0, done=0, blocks=1),
            ["got it, 0 bytes", "The file is empty"],
            id="empty file",
        ),
        pytest.param(WRITE, ["wrote it, 1.0 MiB"], id="written"),
        pytest.param(
            replace(BASE, resent=40),
            ["got it", "40 packets had to be sent again (2 %): the link loses packets"],
            id="lossy link",
        ),
        pytest.param(replace(BASE, resent=4, blocks=20), ["got it"], id="few losses"),
        pytest.param(
            replace(BASE, seconds=10.0),
            ["got it", "It is slow: blocks of 512 bytes, 1 block per answer."],
            id="slow by its options",
        ),
        pytest.param(
            replace(BASE, seconds=60.0, rtt=0.03),
            ["got it", "It is slow: each answer took 30 ms."],
            id="slow by its answers",
        ),
        pytest.param(
            refused(
                1, "File not found", name="pxelinux.cfg/default", near=("pxelinux.cfg/Default",)
            ),
            [
                'refused, error 1 "File not found"',
                "There is `pxelinux.cfg/Default`; upper and lower",
            ],
            id="other case",
        ),
        pytest.param(
            refused(1, "File not found", near=("pxe/boot.img", "boot.im")),
            ["refused", "There is `pxe/boot.img`, `boot.im`. Was that meant?"],
            id="near misses",
        ),
        pytest.param(
            refused(1, "File not found", name="/a\\b"),
            ["refused", "There is no such file; `j tftp put FILE --as a/b` puts it there."],
            id="missing",
        ),
        pytest.param(
            refused(1, "File not found", name="$(reboot)"), ["refused", "--as NAME`"], id="odd name"
        ),
        pytest.param(refused(1, "Not a file"), ["refused", "It is a directory"], id="directory"),
        pytest.param(
            refused(2, "Access violation", name="..\\x"),
            ["refused", "`..` is not followed"],
            id="up",
        ),
        pytest.param(
            refused(2, "Access violation"), ["refused", "symbolic link that leads out"], id="link"
        ),
        pytest.param(
            refused(2, "Writing is not allowed", action="write"),
            ["refused", "`writable: true`"],
            id="read-only",
        ),
        pytest.param(
            refused(3, "No space left", action="write"), ["refused", "`max_upload`"], id="full"
        ),
        pytest.param(
            refused(6, "File already exists", action="write"),
            ["refused", "`overwrite: true`"],
            id="exists",
        ),
        pytest.param(
            refused(4, "Unsupported transfer mode", mode="mail"), ["", "`mail`"], id="mode"
        ),
        pytest.param(
            refused(4, "Unknown opcode", action="", name="", mode=""),
            ["refused", "does not speak TFTP"],
            id="no request",
        ),
        pytest.param(
            refused(0, "Server is busy"), ["refused", "`max_transfers_per_client`"], id="busy"
        ),
        pytest.param(
            refused(0, "Too many requests"),
            ["refused", "`max_requests_per_second`"],
            id="rate-limited",
        ),
        pytest.param(refused(0, "Server failed"), ["refused", "The exporter's log"], id="fault"),
        pytest.param(
            replace(BASE, state=State.ABORTED, code=8, text="x", blocks=0, granted=(("a", "1"),)),
            ['the device ended it before the first block: error 8 "x"', "granted (a 1)"],
            id="options refused",
        ),
        pytest.param(
            replace(BASE, state=State.ABORTED, blocks=0, asked=(("TSIZE", "0"),)),
            ["the device ended it", "It only wanted to know the size", "If it does not: "],
            id="size only",
        ),
        pytest.param(
            replace(BASE, state=State.ABORTED, code=3, blocks=2, done=1024),
            ["the device ended it after 2 blocks, 1.0 KiB of 1.0 MiB: error 3", "does not fit"],
            id="no room",
        ),
        pytest.param(
            replace(BASE, state=State.ABORTED, text="\x1b[2J", blocks=2),
            ['"\\x1b[2J"', "Its own console says more"],
            id="aborted",
        ),
        pytest.param(
            replace(BASE, state=State.FAILED, text="Server is stopping", blocks=2),
            ["this server ended it after 2 blocks", "The server was stopped meanwhile"],
            id="stopped",
        ),
        pytest.param(
            replace(BASE, state=State.FAILED, text="File changed while it was sent", blocks=2),
            ["this server ended it", "Something wrote to the file"],
            id="changed",
        ),
        pytest.param(
            silent(heard=False),
            ["no answer at all to block 1, sent 3 times", "`single_port: true`", "the way back"],
            id="no answer to DATA 1",
        ),
        pytest.param(
            silent(heard=False, granted=(("blksize", "1468"),)),
            ["no answer at all to the options that", "a firewall or NAT", "the way back"],
            id="no answer to OACK",
        ),
        pytest.param(
            silent(heard=False, action="write", block_size=1468),
            ["no answer at all to its", "a firewall or NAT", "smaller MTU", "the way back"],
            id="no answer to ACK 0",
        ),
        pytest.param(
            silent(1),
            ["ACKs stop at block 1", "a firewall or NAT", "the way back"],
            id="stops at block 1",
        ),
        pytest.param(
            silent(block_size=1468, window=4),
            ["asked for blksize 1468, then fell silent: MTU?", "has a smaller MTU"],
            id="MTU",
        ),
        pytest.param(
            silent(block_size=8192),
            ["asked for blksize 8192, then fell silent: MTU?", "8192 bytes travel in fragments"],
            id="fragments",
        ),
        pytest.param(
            silent(300, window=64),
            [
                "fell silent after 300 blocks, 150.0 KiB of 1.0 MiB",
                "A window of 64",
                "Was it reset",
            ],
            id="stops in the middle",
        ),
        pytest.param(
            silent(65535, size=100 << 20),
            [
                "fell silent after 65535 blocks",
                "block numbers end (65535): it cannot take more than 32",
            ],
            id="block numbers end",
        ),
        pytest.param(
            silent(32760, size=100 << 20, window=16),
            ["fell silent", "block numbers end (32767)"],
            id="signed block numbers end",
        ),
        pytest.param(
            silent(2048),
            ["got it, 1.0 MiB, then fell silent", "did not acknowledge"],
            id="no last ACK",
        ),
        pytest.param(
            silent(10, action="write", size=None),
            ["fell silent after 10 blocks, 5.0 KiB", "Was it reset"],
            id="upload stops",
        ),
        pytest.param(
            replace(BASE, state=State.GONE, text="the client began anew", blocks=3, done=1536),
            ["ended after 3 blocks, 1.5 KiB of 1.0 MiB: the client began anew", "Another request"],
            id="replaced",
        ),
        pytest.param(
            replace(BASE, state=State.GONE, text="the client closed its port", blocks=0, done=0),
            ["ended before the first block: the client closed its port", "gave up"],
            id="closed",
        ),
        pytest.param(
            replace(BASE, state=State.GONE), ["got it, 1.0 MiB, and closed"], id="has all"
        ),
        pytest.param(
            replace(BASE, state=State.RUNNING, blocks=2, done=1024),
            ["still under way, 2 blocks, 1.0 KiB of 1.0 MiB"],
            id="running",
        ),
    ],
)
def test_explain(report: Report, lines: list[str]):
    found = explain(report)
    assert len(found) == len(lines), found
    for line, words in zip(found, lines, strict=True):
        assert words in line
        assert line.isprintable()


def test_first_line_says_who_asked_for_what():
    options = ("blksize", "1468"), ("timeout", "3")
    report = replace(BASE, mode="netascii", asked=options, client="[fd00::7]:99")
    assert explain(report)[0].startswith(
        "[fd00::7]:99 asked for `boot.img` (netascii, blksize 1468, timeout 3): got it"
    )
    assert explain(WRITE)[0].startswith("10.0.0.7:2001 wanted to write `core`: wrote it")


def test_long_name_is_cut():
    assert len(explain(replace(BASE, name="x" * 500))[0]) < 200


def test_single_port_is_not_advised_where_it_is_set():
    for report in (silent(heard=False), silent(1)):
        assert "single_port" in "".join(explain(report))
        assert "single_port" not in "".join(explain(report, single_port=True))
