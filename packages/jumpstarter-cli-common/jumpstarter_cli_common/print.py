"""Prints models in the form that was asked for."""

from typing import Any, cast

from jumpstarter_cli.output import NOTHING, print_lines
from jumpstarter_cli.records import Record, print_record
from pydantic import BaseModel

from .opt import OutputType


def model_print(
    model: BaseModel,
    output: OutputType,
    namespace: str | None = None,
    **kwargs: Any,  # noqa: ANN401 - what the model's own methods take
) -> None:
    """Print a model; one that is a list says by `rich_add_*` what its table and names are."""
    if output == "path":
        paths: list[str] = []
        cast("Any", model).rich_add_paths(paths, **kwargs)
        print_lines(paths)
        return
    empty = NOTHING if namespace is None else f"No resources found in {namespace} namespace."
    print_record(cast("Record", model), None if output is None else str(output), empty)
