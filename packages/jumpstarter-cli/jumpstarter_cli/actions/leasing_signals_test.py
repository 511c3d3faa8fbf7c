"""`jmp run` as a process in a real lab: what its signals do, and its exit codes."""

import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest
from jumpstarter.model.status import ExporterStatus

from jumpstarter_cli.conftest import JMP
from jumpstarter_cli.lab_desk_test import LabDesk


@contextmanager
def run(file: Path) -> Generator[subprocess.Popen[str]]:
    """Run an exporter, registered when the context begins."""
    argv = (*JMP, "run", "--exporter-config", str(file))
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as it:
        try:
            assert it.stdout is not None
            assert it.stdout.readline().startswith("Registered with ")
            yield it
        finally:
            it.kill()


def ask_for_lease(desk: LabDesk) -> str:
    """Return a lease of the board that its exporter has taken up."""
    lease = desk.lease("--client", "ann", "-n", "board", "--wait")
    wait_until_taken_up(desk)
    return lease


def wait_until_taken_up(desk: LabDesk) -> None:
    status = None
    while status is not ExporterStatus.LEASE_READY:
        record = desk.portal.call(desk.admin.get_exporter, "board")
        status = record.status
        # The controller tells administrators nothing by itself.
        desk.portal.call(anyio.sleep, 0.02)


def is_gone(desk: LabDesk) -> bool:
    record = desk.portal.call(desk.admin.get_exporter, "board")
    return not record.online and not record.registered


def test_a_signal_ends_it_now_and_its_lease_goes_on_when_it_is_back(lab_desk: LabDesk):
    lab_desk.client("ann")
    file = lab_desk.exporter("board")
    with run(file) as process:
        lease = ask_for_lease(lab_desk)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert is_gone(lab_desk)
    (held,) = lab_desk.portal.call(lab_desk.admin.list_leases)
    assert (held.name, held.exporter) == (lease, "board")
    with run(file):
        wait_until_taken_up(lab_desk)


def test_sighup_lets_the_lease_go_on_to_its_end(lab_desk: LabDesk):
    lab_desk.client("ann")
    with run(lab_desk.exporter("board")) as process:
        lease = ask_for_lease(lab_desk)
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        (held,) = lab_desk.portal.call(lab_desk.admin.list_leases)
        assert (held.name, held.effective_end_time) == (lease, None)
        lab_desk.portal.call(lab_desk.admin.release_lease, lease)
        assert process.wait(20) == 0
    assert is_gone(lab_desk)
