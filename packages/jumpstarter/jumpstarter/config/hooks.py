"""The scripts that run before and after a lease.

Keys are accepted as files write them (`beforeLease`) and as Python does (`before_lease`); files are
written in the first way.
"""

from typing import Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

OnFailure = Literal["warn", "endLease", "exit"]


class HookInstanceConfigV1Alpha1(BaseModel):
    """One script, and what its failure means."""

    model_config = ConfigDict(extra="forbid", title="hook")

    exec_: str | None = Field(
        default=None,
        validation_alias=AliasChoices("exec", "exec_"),
        serialization_alias="exec",
        description=(
            "Interpreter. By default /bin/sh, and the exporter's Python for a file named *.py."
        ),
    )
    script: str = Field(
        min_length=1, description="The script itself, or the path of a file in a single line."
    )
    timeout: int = Field(
        default=120, ge=1, description="Seconds until the script is stopped, which is a failure."
    )
    on_failure: OnFailure = Field(
        default="warn",
        validation_alias=AliasChoices("onFailure", "on_failure"),
        serialization_alias="onFailure",
        description="What a failure does: only warn, end the lease, or stop the exporter.",
    )


class HookConfigV1Alpha1(BaseModel):
    """The hooks of an exporter."""

    model_config = ConfigDict(extra="forbid", title="hooks")

    before_lease: HookInstanceConfigV1Alpha1 | None = Field(
        default=None,
        validation_alias=AliasChoices("beforeLease", "before_lease"),
        serialization_alias="beforeLease",
        description="Runs before the client may use the drivers.",
    )
    after_lease: HookInstanceConfigV1Alpha1 | None = Field(
        default=None,
        validation_alias=AliasChoices("afterLease", "after_lease"),
        serialization_alias="afterLease",
        description="Runs when the client has gone, before the exporter is free again.",
    )
