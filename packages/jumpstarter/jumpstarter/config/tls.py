"""How a connection to a controller is verified."""

from pydantic import BaseModel, ConfigDict, Field


class TLSConfigV1Alpha1(BaseModel):
    """Certificate authority of a server, or the wish not to verify it."""

    model_config = ConfigDict(title="tls")

    ca: str = Field(
        default="",
        description="Certificates to trust, PEM in base64; empty for those of the system.",
    )
    insecure: bool = Field(default=False, description="Do not verify the server's certificate.")
