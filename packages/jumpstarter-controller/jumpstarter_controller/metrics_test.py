"""The numbers are those of the lab, and the text is one that Prometheus reads."""

import re
from dataclasses import fields

from jumpstarter.model.status import ExporterStatus

from jumpstarter_controller.conftest import Lab
from jumpstarter_controller.metrics import Numbers, metrics_text

LINE = re.compile(r'[a-z_]+(\{[a-z]+="[a-z]+"\})? \d+')


async def test_the_numbers_of_a_lab(lab: Lab) -> None:
    ann = await lab.client()
    await lab.exporter("board", type="x")
    await lab.exporter("gone", ExporterStatus.OFFLINE, type="x")
    live, waiting = await lab.lease(ann, "type=x"), await lab.lease(ann, "type=x")
    await lab.lease(ann, "type=none")
    await lab.engine.report_router("one", "one.example.com:8083", {}, 0)

    assert lab.engine.numbers() == Numbers(
        clients=1,
        exporters=2,
        exporters_online=1,
        leases_live=1,
        leases_waiting=1,
        routers=1,
        acquired=1,
        refused=1,
    )
    await lab.release(ann, live)
    await lab.release(ann, waiting)

    numbers = lab.engine.numbers()
    assert (numbers.leases_live, numbers.leases_waiting, numbers.acquired) == (0, 0, 2)


def test_every_number_has_its_line_and_its_type() -> None:
    names = [field.name for field in fields(Numbers)]
    lines = metrics_text(Numbers(**{name: n for n, name in enumerate(names)})).splitlines()

    values = [line for line in lines if not line.startswith("#")]
    assert len(values) == len(names)
    assert all(LINE.fullmatch(line) for line in values)
    assert 'jumpstarter_lease_acquisitions_total{result="success"} 6' in values
    assert "jumpstarter_leases_waiting 4" in values
    for line in values:
        name = re.split("[{ ]", line)[0]
        assert len([one for one in lines if one.startswith(f"# TYPE {name} ")]) == 1
