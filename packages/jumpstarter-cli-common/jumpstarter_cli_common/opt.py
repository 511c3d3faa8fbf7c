"""Options that commands of several packages have in common."""

import logging
import re
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Protocol, TypeAlias, TypeVar

import click
from jumpstarter_cli.options import insecure_option, nointeractive_option
from jumpstarter_cli.questions import confirm_insecure
from jumpstarter_cli.words import paired

F = TypeVar("F", bound=Callable[..., Any])

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


class Decorator(Protocol):
    """Adds options to a command."""

    def __call__(self, command: F, /) -> F:
        """Return the command, with the options."""
        ...


class OutputMode(StrEnum):
    """A form of output."""

    JSON = "json"
    YAML = "yaml"
    NAME = "name"
    PATH = "path"


OutputType: TypeAlias = OutputMode | str | None
NameOutputType: TypeAlias = OutputMode | str | None
PathOutputType: TypeAlias = OutputMode | str | None


def _output(*modes: OutputMode) -> Decorator:
    return click.option(
        "-o",
        "--output",
        type=click.Choice([str(mode) for mode in modes]),
        help="Form of the output",
    )


opt_output_all: Decorator = _output(OutputMode.JSON, OutputMode.YAML, OutputMode.NAME)
opt_output_name_only: Decorator = _output(OutputMode.NAME)
opt_output_path_only: Decorator = _output(OutputMode.PATH)
opt_insecure_tls = insecure_option
opt_nointeractive = nointeractive_option
opt_log_level: Decorator = click.option(
    "--log-level",
    type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], case_sensitive=False),
    help="Least level of log records to show",
)
opt_log_format: Decorator = click.option(
    "--log-format",
    type=click.Choice(["auto", "json", "text"]),
    default="auto",
    help="Form of the log",
)
opt_namespace: Decorator = click.option("-n", "--namespace", default="default", help="Namespace")
opt_kubeconfig: Decorator = click.option("--kubeconfig", help="File of a Kubernetes cluster")
opt_context: Decorator = click.option("--context", help="Cluster in that file")


def opt_labels(*, required: bool = False) -> Decorator:
    """Return a decorator that adds `--label k=v`, which may be repeated; `labels` is a dict."""

    def labels(_: click.Context, __: click.Parameter, value: tuple[str, ...]) -> dict[str, str]:
        return paired(value, "--label")

    return click.option(
        "-l",
        "--label",
        "labels",
        metavar="KEY=VALUE",
        multiple=True,
        required=required,
        callback=labels,
        help="Label; may be repeated",
    )


def confirm_insecure_tls(insecure_tls: bool, nointeractive: bool) -> None:  # noqa: FBT001 - public API
    """Make sure that a server is really not to be verified; raises Abort otherwise."""
    confirm_insecure(insecure=insecure_tls, nointeractive=nointeractive)


def parse_comma_separated(
    ctx: click.Context | None,
    param: click.Parameter | None,
    value: str | tuple[str, ...] | None,
    allowed_values: set[str] | None = None,
    normalize_case: bool = True,  # noqa: FBT001, FBT002 - public API
) -> list[str]:
    """Return the words of an option; raises BadParameter for one that is not allowed."""
    texts = (value,) if isinstance(value, str) else value or ()
    words = [word.strip() for text in texts for word in text.split(",")]
    words = [word.lower() if normalize_case else word for word in words if word]
    for word in words:
        if allowed_values is not None and word not in allowed_values:
            known = ", ".join(sorted(allowed_values))
            raise click.BadParameter(f"'{word}' is none of {known}", ctx=ctx, param=param)
    return list(dict.fromkeys(words))


def opt_comma_separated(
    name: str,
    allowed_values: set[str] | None = None,
    normalize_case: bool = True,  # noqa: FBT001, FBT002 - public API
    help_text: str | None = None,
) -> Decorator:
    """Return a decorator that adds `--NAME`, which may be repeated and hold several words."""

    def words(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> list[str]:
        return parse_comma_separated(ctx, param, value, allowed_values, normalize_case)

    return click.option(f"--{name}", name, multiple=True, callback=words, help=help_text)


def validate_name(name: str | None) -> None:
    """Raise ClickException for a name that no client or exporter can have."""
    if name is not None and _NAME.fullmatch(name) is None:
        raise click.ClickException(
            f"'{name}' is no name; use lower-case letters, digits, '-' and '.'"
        )


class SourcePrefixFormatter(logging.Formatter):
    """Shows a record as its source and its message."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return f"[{record.name}] {super().format(record)}"
