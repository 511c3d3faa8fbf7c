"""What every driver, client and session carries: an identity and labels."""

from dataclasses import dataclass, field
from uuid import UUID, uuid4

NAME_LABEL = "jumpstarter.dev/name"
CLIENT_LABEL = "jumpstarter.dev/client"


@dataclass(kw_only=True, slots=True)
class Metadata:
    """An identity (`uuid`) and free labels; the label `jumpstarter.dev/name` is the name."""

    uuid: UUID = field(default_factory=uuid4)
    labels: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def name(self) -> str:
        """The value of the name label, or `unknown`."""
        return self.labels.get(NAME_LABEL, "unknown")
