"""Reports and the status survive the wire, whatever bytes a client sent."""

import json
from typing import cast

from jumpstarter.model.values import decode_value, encode_value

from jumpstarter_driver_tftp.reports import Report, State, Status

REPORT = Report(
    number=7,
    client="[fd00::7]:2001",
    server="10.0.0.1:69",
    action="read",
    name="boot.img",
    mode="octet",
    asked=(("blksize", "1468"), ("x", "y")),
    granted=(("blksize", "1468"),),
    state=State.SILENT,
    size=5 << 30,
    done=1468,
    blocks=1,
    block_size=1468,
    heard=True,
    rtt=0.25,
    began=1e9 + 0.5,
    seconds=2.0,
    near=("Boot.img",),
)


def carried(data: object) -> dict[str, object]:
    return cast("dict[str, object]", decode_value(encode_value(data)))


def test_report_survives_the_wire():
    assert Report.from_json(carried(REPORT.to_json())) == REPORT


def test_bytes_that_are_no_text_are_carried_as_text():
    odd = Report(
        number=1,
        client="10.0.0.7:1",
        server="10.0.0.1:69",
        action="read",
        name="b\udcff",
        text="\udc80",
        asked=(("\udcfe", "1"),),
        state=State.REFUSED,
    )
    found = Report.from_json(carried(odd.to_json()))
    assert (found.name, found.text, found.asked) == ("b\\xff", "\\x80", (("\\xfe", "1"),))
    json.dumps(odd.to_json()).encode()


def test_status_survives_the_wire():
    status = Status(
        running=True,
        host="::",
        port=69,
        url="tftp://10.0.0.1/",
        requests=9,
        counts={"silent": 1},
        transfers=(REPORT,),
        settings={"writable": False, "max_upload": 1 << 30, "views": {"10.0.0.0/8": "a"}},
        limits={"transfers": 10, "requests_per_second": 0.5},
    )
    found = Status.from_json(carried(status.to_json()))
    assert found == status
    assert isinstance(found.port, int)
    assert isinstance(found.settings["max_upload"], int)


def test_address_is_without_port():
    assert REPORT.address == "fd00::7"
