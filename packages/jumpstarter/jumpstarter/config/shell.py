"""How interactive shells are started."""

from pydantic import BaseModel, Field


class ShellConfigV1Alpha1(BaseModel):
    """Settings of interactive shells."""

    use_profiles: bool = Field(
        default=False, description="Read the user's own shell start-up files."
    )
