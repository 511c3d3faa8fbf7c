"""shell."""
from click.testing import CliRunner
from .conftest import Served

ENTRY = """
type: jumpstarter_driver_shell.driver.Shell
config:
  methods:
    greet: echo "hello $1 from $PLACE"
    fail:
      command: echo broken >&2; exit 3
      description: Fails
"""

def test_call_returns_output_and_code(served):
    client = served(ENTRY)
    assert client.greet("world", PLACE="here") == ("hello world from here\n", "", 0)
    assert client.fail() == ("", "broken\n", 3)

def test_call_cli(served):
    client = served(ENTRY)
    r = CliRunner().invoke(client.cli(), ["greet", "you", "--env", "PLACE=there"])
    assert (r.output, r.exit_code) == ("hello you from there\n", 0)
    r = CliRunner().invoke(client.cli(), ["--help"])
    print(r.output)
    assert "Fails" in r.output
    r = CliRunner().invoke(client.cli(), ["fail"])
    assert r.exit_code == 3
