"""The base class, used by tests that run in a pytest of their own, without the plugin."""

import subprocess

import pytest

import jumpstarter_testing
from jumpstarter_testing.conftest import RunPytest
from jumpstarter_testing.pytest import JumpstarterTest

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.usefixtures("no_client")


@pytest.fixture
def run_pytest(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> RunPytest:
    """Run pytest in this process, on a file with the given content, with some variables set."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    def run(content: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        pytester.makepyfile(content)
        result = pytester.runpytest_inprocess("-v", "-W", "error", "-p", "no:cacheprovider")
        return subprocess.CompletedProcess(
            (), int(result.ret), str(result.stdout), str(result.stderr)
        )

    return run


DEVICE_TEST = """
from jumpstarter_testing.pytest import JumpstarterTest

class TestDevice(JumpstarterTest):
    selector = "board=any"

    def test_first(self, client):
        assert client.call("next") == 1

    def test_second(self, client):
        assert client.call("next") == 2

class TestOther(JumpstarterTest):
    def test_third(self, client):
        assert client.call("next") == 3
"""


def test_class_has_both_its_paths():
    assert jumpstarter_testing.JumpstarterTest is JumpstarterTest


def test_client_reaches_the_exporter_of_the_shell(host: str, run_pytest: RunPytest):
    finished = run_pytest(DEVICE_TEST, JUMPSTARTER_HOST=host, JMP_DRIVERS_ALLOW="UNSAFE")
    assert finished.returncode == 0, finished.stdout
    assert "3 passed" in finished.stdout


def test_outside_a_shell_one_line_says_what_to_do(run_pytest: RunPytest):
    finished = run_pytest(DEVICE_TEST)
    assert finished.returncode == 1
    assert "3 errors" in finished.stdout
    lines = [line for line in finished.stdout.splitlines() if line.startswith("JUMPSTARTER_HOST")]
    assert len(lines) == 3
    assert all("run pytest inside `jmp shell`" in line for line in lines)
    assert "Traceback" not in finished.stdout + finished.stderr


def test_failure_of_a_test_is_its_own(host: str, run_pytest: RunPytest):
    content = DEVICE_TEST.replace('client.call("next") == 2', "client.call('absent')")
    finished = run_pytest(content, JUMPSTARTER_HOST=host, JMP_DRIVERS_ALLOW="UNSAFE")
    assert finished.returncode == 1
    assert "DriverMethodNotImplemented" in finished.stdout
    assert "run pytest inside" not in finished.stdout


@pytest.mark.parametrize("host_name", ["", "/nowhere/socket"])
def test_host_that_is_not_there_fails_each_test(run_pytest: RunPytest, host_name: str):
    finished = run_pytest(DEVICE_TEST, JUMPSTARTER_HOST=host_name)
    assert finished.returncode == 1
    assert "3 errors" in finished.stdout
