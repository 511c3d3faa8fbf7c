"""Every name that other packages import is there, and does what they need of it."""

from importlib import import_module
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from jumpstarter.config.client import ClientConfigV1Alpha1, UserConfigV1Alpha1
from jumpstarter.model.errors import ConnectionError, ReauthenticationFailed  # noqa: A004 - ours

from jumpstarter_cli_common.blocking import blocking
from jumpstarter_cli_common.config import opt_config
from jumpstarter_cli_common.exceptions import (
    ClickExceptionRed,
    find_exception_in_group,
    handle_exceptions,
    handle_exceptions_with_reauthentication,
)
from jumpstarter_cli_common.opt import opt_comma_separated, opt_labels

NAMES = {
    "alias": "AliasedGroup",
    "blocking": "blocking",
    "callbacks": "ClickCallback ForceClickCallback SilentWithConfirmCallback",
    "config": "opt_config",
    "exceptions": "ClickExceptionRed async_handle_exceptions handle_exceptions leaf_exceptions "
    "handle_exceptions_with_reauthentication find_exception_in_group",
    "oidc": "Config opt_oidc decode_jwt decode_jwt_issuer get_token_remaining_seconds "
    "format_duration should_use_device_flow TOKEN_EXPIRY_WARNING_SECONDS",
    "opt": "OutputMode OutputType NameOutputType PathOutputType opt_log_level opt_log_format "
    "opt_output_all opt_output_name_only opt_output_path_only opt_labels opt_namespace "
    "opt_kubeconfig opt_context opt_insecure_tls opt_nointeractive confirm_insecure_tls "
    "opt_comma_separated parse_comma_separated validate_name SourcePrefixFormatter",
    "print": "model_print",
    "signal": "signal_handler",
    "version": "version get_client_version",
}


@pytest.mark.parametrize("module", NAMES)
def test_names(module: str):
    found = import_module(f"jumpstarter_cli_common.{module}")
    for name in NAMES[module].split():
        assert hasattr(found, name), name


def test_command_that_is_a_coroutine():
    @blocking
    async def double(value: int) -> int:
        return 2 * value

    assert double(4) == 8


def test_error_becomes_one_line():
    @handle_exceptions
    def fail() -> None:
        raise ReauthenticationFailed("log in again")

    with pytest.raises(ClickExceptionRed, match="log in again"):
        fail()


def test_login_once_when_a_token_has_run_out():
    logins: list[object] = []

    @handle_exceptions_with_reauthentication(logins.append)
    def call() -> str:
        if not logins:
            raise ConnectionError("token is expired").set_config("config")
        return "done"

    assert (call(), logins) == ("done", ["config"])


def test_error_in_a_group_is_found():
    group = BaseExceptionGroup("a", [ValueError(), BaseExceptionGroup("b", [KeyError()])])
    assert isinstance(find_exception_in_group(group, KeyError), KeyError)
    assert find_exception_in_group(group, OSError) is None


def test_configuration_that_is_missing():
    @click.command()
    @opt_config(allow_missing=True)
    def show(config: object) -> None:
        click.echo(config)

    done = CliRunner().invoke(show, ["--client", "no-such-client"])
    assert done.output == "('client', 'no-such-client')\n"


def test_words_between_commas():
    @click.command()
    @opt_comma_separated("with", {"a", "b"})
    def show(**given: list[str]) -> None:
        click.echo(given["with"])

    assert CliRunner().invoke(show, ["--with", "A,b"]).output == "['a', 'b']\n"
    assert "'c' is none of a, b" in CliRunner().invoke(show, ["--with", "c"]).output


def test_labels_are_a_dict():
    @click.command()
    @opt_labels()
    def show(labels: dict[str, str]) -> None:
        click.echo(labels)

    assert CliRunner().invoke(show, ["-l", "a=b"]).output == "{'a': 'b'}\n"
    assert "'a' is no KEY=VALUE" in CliRunner().invoke(show, ["-l", "a"]).output


@pytest.mark.parametrize(
    ("exporter", "options"),
    [(False, "--client, --client-config"), (True, "--client, --client-config, --exporter, ")],
)
def test_without_a_configuration_the_options_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, exporter: bool, options: str
):
    monkeypatch.setattr(ClientConfigV1Alpha1, "CLIENT_CONFIGS_PATH", tmp_path)
    monkeypatch.setattr(UserConfigV1Alpha1, "USER_CONFIG_PATH", tmp_path / "config.yaml")

    @click.command
    @opt_config(exporter=exporter)
    def command(config: object) -> None:
        click.echo(config)

    result = CliRunner().invoke(command)
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: none of {options}")
