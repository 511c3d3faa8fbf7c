import signal

import pytest

from .conftest import HEAD, LAMP, LAMPS, Desk, Done, J, listening

SHADES = f"{LAMP}  unlit: {{type: {LAMPS}.Unlit}}\n"


def in_shell(desk: Desk, script: str, text: str = LAMP) -> Done:
    """Run a script of a shell in a local shell."""
    return desk.jmp("shell", "--exporter-config", desk.file(text), "--", "bash", "-c", script)


def test_command_of_a_driver_runs(desk: Desk):
    done = in_shell(desk, "j lamp on")
    assert (done.code, done.out, done.err) == (0, "Lamp is on\n", "")


@pytest.mark.parametrize("value", [0, 1, 42])
def test_result_of_a_command_is_the_exit_code(value: int, desk: Desk):
    assert in_shell(desk, f"j lamp answer {value}").code == value


def test_without_arguments_the_help_is_shown_and_the_code_is_1(desk: Desk):
    done = in_shell(desk, "j")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("Usage: j [OPTIONS] COMMAND")
    assert "lamp  Light a lamp" in done.err


def test_help_is_no_error(desk: Desk):
    done = in_shell(desk, "j lamp --help")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("Usage: j lamp [OPTIONS] COMMAND")


@pytest.mark.parametrize("words", ["lump", "lamp off", "lamp on --dim", "lamp answer x"])
def test_wrong_command_shows_the_usage_and_the_code_is_1(words: str, desk: Desk):
    done = in_shell(desk, f"j {words}")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("Usage: j ")
    assert "\nError: " in done.err


def test_outside_a_shell_it_is_one_line(desk: Desk):
    done = desk.j("lamp", "on")
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        "Error: j works inside a jmp shell: JUMPSTARTER_HOST is not set; "
        "open one with `jmp shell --exporter-config FILE`\n"
    )


def test_error_of_a_driver_is_one_line_without_its_controls(desk: Desk):
    done = in_shell(desk, "j lamp call shatter")
    assert done.code == 1
    assert done.err.startswith("Error: ")
    assert done.err.endswith("the bulb is broken \\x1b[31m\n")
    assert done.err.count("\n") == 1


def test_method_that_the_driver_has_not_is_one_line(desk: Desk):
    done = in_shell(desk, "j lamp call dim")
    assert done.code == 1
    assert "dim" in done.err
    assert done.err.startswith("Error: ")
    assert done.err.count("\n") == 1


def test_error_of_a_client_is_one_line(desk: Desk):
    done = in_shell(desk, "j lamp misuse")
    assert (done.code, done.err) == (1, "Error: KeyError: 'wick'\n")


def test_exporter_that_goes_away_is_one_line(desk: Desk):
    with listening(desk) as env:
        done = desk.j("lamp", "call", "vanish", env=env)
    assert done.code == 1
    assert done.err.startswith("Error: ")
    assert "UNAVAILABLE" in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_a_command_with_2(number: signal.Signals, desk: Desk):
    with listening(desk) as env, desk.start(*J, "lamp", "burn", env=env) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "hour 1\n"
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)
        assert process.returncode == 2
        assert errors.strip() == "Error: interrupted"


def test_client_class_that_is_not_installed_is_told_when_it_is_used(desk: Desk):
    done = in_shell(desk, "j unlit on", SHADES)
    assert done.code == 1
    assert done.err == (
        "Error: unlit: jumpstarter_driver_unlit.client.UnlitClient is not installed here: "
        "install it with: pip install jumpstarter-driver-unlit\n"
    )


def test_client_class_that_is_not_installed_hinders_no_other(desk: Desk):
    done = in_shell(desk, "j lamp on", SHADES)
    assert (done.code, done.out, done.err) == (0, "Lamp is on\n", "")


def test_help_tells_which_drivers_have_no_commands(desk: Desk):
    done = in_shell(desk, "j --help", SHADES)
    assert done.code == 0
    assert "lamp  Light a lamp" in done.out
    assert done.err.startswith(
        "Warning: no commands for unlit: jumpstarter_driver_unlit.client.UnlitClient is not inst"
    )


def test_client_class_that_the_allow_list_refuses_is_not_loaded(desk: Desk):
    with listening(desk) as env:
        done = desk.j("lamp", "on", env={**env, "JMP_DRIVERS_ALLOW": "other.*"})
    assert done.code == 1
    assert done.err == (
        f"Error: lamp: {LAMPS}.LampClient is not allowed: add it to drivers.allow in the "
        "client configuration, or to JMP_DRIVERS_ALLOW\n"
    )


def test_debug_level_shows_where_an_error_comes_from(desk: Desk):
    done = in_shell(desk, "j --log-level DEBUG lamp misuse")
    assert "Traceback" in done.err
    assert done.err.endswith("Error: KeyError: 'wick'\n")


def test_empty_exporter_has_no_commands_and_says_so(desk: Desk):
    done = in_shell(desk, "j lamp on", HEAD)
    assert done.code == 1
    assert "No such command 'lamp'" in done.err


def test_completing_outside_a_shell_says_nothing(desk: Desk):
    env = {"_J_COMPLETE": "bash_complete", "COMP_WORDS": "j ", "COMP_CWORD": "1"}
    assert desk.j(env=env) == Done(1, "", "")


def test_completing_names_drivers_and_their_commands(desk: Desk):
    script = "_J_COMPLETE=bash_complete COMP_WORDS='j lamp ' COMP_CWORD=2 j"
    done = in_shell(desk, script)
    assert done.out.splitlines() == [
        f"plain,{name}" for name in ("answer", "burn", "call", "misuse", "on")
    ]
