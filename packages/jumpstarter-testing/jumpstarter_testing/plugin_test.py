"""The plugin, as those who run pytest with it see it; the lab and its device are real."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jumpstarter.client.administration import connected
from jumpstarter.config.admin import AdminConfig

from jumpstarter_testing.conftest import RunPytest
from jumpstarter_testing.lab import ServedLab

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.usefixtures("no_client")

PLUGIN = ("-p", "jumpstarter_testing.plugin", "-p", "no:cacheprovider", "-W", "error")


class Outcome:
    """What a run of pytest printed, and its exit code."""

    def __init__(self, result: pytest.RunResult) -> None:
        self.code = int(result.ret)
        self.lines = result.outlines + result.errlines
        self.text = "\n".join(self.lines)
        self.counts = result.parseoutcomes() if result.ret != pytest.ExitCode.USAGE_ERROR else {}

    def section(self, name: str) -> str:
        """Return what the report shows below the headline `name`."""
        _, found, rest = self.text.partition(f" {name} -")
        assert found, self.text
        return rest.partition("\n")[2].partition("\n--")[0].partition("\n==")[0]


class Runner:
    """Runs pytest in this process on files of its own."""

    def __init__(self, pytester: pytest.Pytester, lab: ServedLab) -> None:
        self.pytester = pytester
        self.lab = lab

    def run(self, content: str, *options: str) -> Outcome:
        self.pytester.makepyfile(**{f"test_{len(options)}": content})
        client = f"--jmp-client={self.lab.client_file}"
        return Outcome(self.pytester.runpytest_inprocess(*PLUGIN, client, *options))

    @property
    def leases(self) -> list[str]:
        """The names of the leases that there are."""
        return [lease.name for lease in self.lab.client.list_leases().leases]


@pytest.fixture
def runner(
    pytester: pytest.Pytester, desk_lab: ServedLab, monkeypatch: pytest.MonkeyPatch
) -> Runner:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    return Runner(pytester, desk_lab)


def test_device_is_leased_once_for_the_run_and_released(runner: Runner):
    runner.pytester.makepyfile(test_0="def test_one(device): assert device.call('next') == 1")
    outcome = runner.run(
        "def test_two(device): assert device.call('next') == 2", "--jmp-selector=kind=desk"
    )
    assert outcome.counts == {"passed": 2}, outcome.text
    assert runner.leases == []


@pytest.mark.parametrize("option", ["--jmp-exporter=desk", "--jmp-selector=kind in (desk)"])
def test_device_is_chosen_by_name_or_labels(runner: Runner, option: str):
    outcome = runner.run("def test_it(device): assert device.call('next') == 1", option)
    assert outcome.counts == {"passed": 1}, outcome.text


@pytest.mark.parametrize("by_option", [True, False])
def test_lease_that_is_named_is_used_and_stays(
    runner: Runner, monkeypatch: pytest.MonkeyPatch, by_option: bool
):
    with runner.lab.client.lease(exporter_name="desk") as lease:
        content = "def test_it(device): assert device.call('next') == 1"
        if not by_option:
            monkeypatch.setenv("JMP_LEASE", lease.name)
        outcome = runner.run(content, *([f"--jmp-lease={lease.name}"] if by_option else []))
        assert outcome.counts == {"passed": 1}, outcome.text
        assert runner.leases == [lease.name]


CLASSES = """
from jumpstarter_testing import JumpstarterTest

def test_first(device):
    assert device.call("next") == 1

class TestSame(JumpstarterTest):
    def test_second(self, client):
        assert client.call("next") == 2

class TestOther(JumpstarterTest):
    selector = "kind"
    def test_its_own(self, client):
        assert client.call("next") == 1
"""


def test_class_shares_the_device_that_is_leased_already(runner: Runner):
    content = CLASSES.partition("class TestOther")[0]
    outcome = runner.run(content, "--jmp-selector=kind=desk", "--jmp-acquisition-timeout=5s")
    assert outcome.counts == {"passed": 2}, outcome.text


def test_class_with_labels_of_its_own_leases_by_them(runner: Runner):
    content = (
        "from jumpstarter_testing import JumpstarterTest\nclass TestOther"
        + CLASSES.partition("class TestOther")[2]
    )
    outcome = runner.run(content)
    assert outcome.counts == {"passed": 1}, outcome.text
    outcome = runner.run(content.replace('"kind"', '"kind=none"'))
    assert outcome.counts == {"errors": 1}, outcome.text
    assert any("no exporter matches the selector kind=none" in line for line in outcome.lines)


FAILING = """
def test_good(device):
    with device.children["console"].stream() as console:
        console.send(b"of the first test")
        console.receive()

def test_bad(device):
    device.call("next")
    with device.children["console"].stream() as console, device.children["other"].stream() as other:
        console.send(b"\\x1b[31mU-Boot\\x1b[0m 2026\\r\\nkernel panic \\xff")
        console.receive()
        other.send(b"not shown")
        other.receive()
    assert not "on"
"""


def test_failed_test_shows_the_console_and_the_log_of_its_time(runner: Runner):
    outcome = runner.run(FAILING, "--jmp-selector=kind=desk")
    assert outcome.counts == {"passed": 1, "failed": 1}
    assert (
        outcome.section("Captured output of console call")
        == "U-Boot 2026\nkernel panic \N{REPLACEMENT CHARACTER}"
    )
    assert "counted to 1" in outcome.section("Captured exporter log call")
    assert "of the first test" not in outcome.text
    assert "Captured output of other" not in outcome.text


def test_which_consoles_are_shown_is_a_setting(runner: Runner):
    runner.pytester.makeini("[pytest]\njmp_consoles = other")
    outcome = runner.run(FAILING, "--jmp-selector=kind=desk")
    assert outcome.section("Captured output of other call") == "not shown"
    assert "Captured output of console" not in outcome.text


USING = """
def test_long(device):
    while True:
        device.call("next")

def test_next(device):
    device.call("next")
"""


def test_end_of_the_lease_is_the_first_thing_that_a_failed_test_says(runner: Runner):
    outcome = runner.run(USING, "--jmp-exporter=desk", "--jmp-duration=1s")
    assert outcome.counts == {"failed": 1, "errors": 1}, outcome.text
    said = outcome.section("the device was lost")
    assert said.startswith("desk is lost: the lease has run out")
    assert said.endswith("); --jmp-duration asks for a longer lease")
    summary = [line for line in outcome.lines if line.startswith(("FAILED", "ERROR "))]
    assert [line.partition(" - ")[2].removeprefix("Failed: ")[:12] for line in summary] == [
        "desk is lost"
    ] * 2


def test_lease_that_an_administrator_ends_is_told_as_that(runner: Runner):
    content = """
def test_it(device, request):
    request.config.release()
    device.call("next")

def test_of_something_else():
    assert not "on"
"""
    runner.pytester.makepyfile(content)
    client = f"--jmp-client={runner.lab.client_file}"
    result = runner.pytester.runpytest_inprocess(
        *PLUGIN, client, "--jmp-exporter=desk", plugins=[Administrator(runner.lab)]
    )
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines("desk is lost: the lease was released (*)")
    assert str(result.stdout).count("- the device was lost -") == 1


class Administrator:
    """A plugin through which the tests of a run end all leases."""

    def __init__(self, lab: ServedLab) -> None:
        self.lab = lab

    def pytest_configure(self, config: Any) -> None:
        config.release = self.release

    def release(self) -> None:
        self.lab.portal.call(self._release)

    async def _release(self) -> None:
        async with connected(AdminConfig.load(self.lab.admin_file)) as administration:
            for lease in await administration.list_leases():
                await administration.release_lease(lease.name)


@pytest.mark.parametrize(
    ("option", "line"),
    [
        ("--jmp-selector=kind in desk", "--jmp-selector: label selector 'kind in desk'"),
        ("--jmp-duration=soon", "--jmp-duration: 'soon' is no duration"),
        ("--jmp-acquisition-timeout=-1", "--jmp-acquisition-timeout: '-1' is no duration"),
    ],
)
def test_option_that_makes_no_sense_is_refused_before_any_test(
    runner: Runner, option: str, line: str
):
    outcome = runner.run("def test_it(): pass", option)
    assert outcome.code == pytest.ExitCode.USAGE_ERROR
    assert [text for text in outcome.lines if text] == [
        text for text in outcome.lines if line in text
    ]


def test_lease_that_is_named_excludes_a_choice(runner: Runner):
    outcome = runner.run("def test_it(): pass", "--jmp-lease=x", "--jmp-selector=kind=desk")
    assert outcome.code == pytest.ExitCode.USAGE_ERROR
    assert "leave out --jmp-selector" in outcome.text


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ((), "JUMPSTARTER_HOST not set, and no device chosen: run pytest inside `jmp shell`"),
        (("--jmp-exporter=absent",), "absent"),
        (("--jmp-selector=kind=none",), "no exporter matches the selector kind=none"),
        (("--jmp-lease=absent",), "absent"),
    ],
)
def test_device_that_cannot_be_had_fails_each_test_with_a_line(
    runner: Runner, options: tuple[str, ...], line: str
):
    content = "def test_one(device): pass\ndef test_two(device): pass\ndef test_none(): pass"
    outcome = runner.run(content, *options)
    assert outcome.counts == {"passed": 1, "errors": 2}, outcome.text
    assert "Traceback" not in outcome.text
    assert (
        len([text for text in outcome.lines if line in text and not text.startswith("ERROR")]) == 2
    )


@pytest.mark.parametrize(
    ("client", "line"), [("nobody", "nobody"), ("./nobody.yaml", "nobody.yaml")]
)
def test_client_that_is_not_there_fails_each_test_with_a_line(
    runner: Runner, client: str, line: str
):
    runner.pytester.makepyfile("def test_it(device): pass")
    result = runner.pytester.runpytest_inprocess(
        *PLUGIN, "--jmp-selector=kind", f"--jmp-client={client}"
    )
    result.assert_outcomes(errors=1)
    assert [text for text in result.outlines if line in text and not text.startswith("ERROR")]
    assert "Traceback" not in result.stdout.str()


def test_without_any_client_a_line_says_what_to_do(runner: Runner):
    runner.pytester.makepyfile("def test_it(device): pass")
    result = runner.pytester.runpytest_inprocess(*PLUGIN, "--jmp-selector=kind")
    result.stdout.fnmatch_lines(
        "JUMPSTARTER_HOST not set, and no client chosen*`jmp login` makes one"
    )


def test_who_waits_is_told_for_what_and_gives_up_in_time(runner: Runner):
    with runner.lab.client.lease(exporter_name="desk") as lease:
        content = "def test_it(device): pass"
        options = ("--jmp-selector=kind=desk", "--jmp-acquisition-timeout=0.5s")
        outcome = runner.run(content, *options)
        assert outcome.counts == {"errors": 1}, outcome.text
        assert any(
            line.startswith("waiting for a device with kind=desk: number 1 in the queue")
            for line in outcome.lines
        ), outcome.text
        assert any(line.startswith("no lease within 0.5 seconds") for line in outcome.lines)
        assert runner.leases == [lease.name]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_device_is_given_back_when_the_run_is_stopped(runner: Runner, number: int):
    before = signal.getsignal(number)
    runner.pytester.makepyfile(
        f"import os\ndef test_it(device): os.kill(os.getpid(), {int(number)})\n"
        "def test_not(device): pass"
    )
    client = f"--jmp-client={runner.lab.client_file}"
    options = (*PLUGIN, client, "--jmp-exporter=desk")
    reports: Any = runner.pytester.inline_run(*options, no_reraise_ctrlc=True)  # pyright: ignore[reportUnknownMemberType] - pytest leaves a parameter without a type
    assert reports.ret == pytest.ExitCode.INTERRUPTED
    assert runner.leases == []
    assert signal.getsignal(number) is before


def test_who_stops_waiting_leaves_the_queue(runner: Runner, tmp_path: Path):
    file = tmp_path / "test_waiting.py"
    file.write_text("def test_it(device): pass")
    command = [
        sys.executable,
        "-m",
        "pytest",
        *PLUGIN,
        f"--rootdir={tmp_path}",
        "--jmp-exporter=desk",
    ]
    with (
        runner.lab.client.lease(exporter_name="desk") as lease,
        subprocess.Popen(
            [*command, f"--jmp-client={runner.lab.client_file}", file],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        ) as process,
    ):
        assert process.stdout is not None
        assert any(
            line.startswith("waiting for exporter desk: number 1") for line in process.stdout
        )
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.wait() == pytest.ExitCode.INTERRUPTED
        assert runner.leases == [lease.name]


def test_inside_a_shell_its_device_is_used(
    runner: Runner, host: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("JUMPSTARTER_HOST", host)
    monkeypatch.setenv("JMP_DRIVERS_ALLOW", "UNSAFE")
    content = "def test_it(device): assert device.call('next') == 1; assert not 'on'"
    outcome = runner.run(content, "--jmp-selector=kind=none")
    assert outcome.counts == {"failed": 1}, outcome.text
    assert "counted to 1" in outcome.section("Captured exporter log call")
    assert runner.leases == []


def test_plugin_costs_nothing_to_those_who_do_not_use_it(run_pytest: RunPytest):
    content = """
import sys

def test_it():
    names = [name for name in sys.modules if name.startswith(("jumpstarter", "grpc", "anyio"))]
    assert names == ["jumpstarter_testing", "jumpstarter_testing.plugin"]
"""
    finished = run_pytest(content, "-p", "jumpstarter_testing.plugin")
    assert finished.returncode == 0, finished.stdout
