"""What a session is for: whose lease it is, and the wish to end it."""

from dataclasses import dataclass, field

import anyio


@dataclass(kw_only=True)
class LeaseContext:
    """The lease behind a session; raises AssertionError for a lease without a name."""

    lease_name: str
    client_name: str = ""
    end_session_requested: anyio.Event = field(default_factory=anyio.Event)
    """Set when the client, or the operator, wants the session to end."""

    def __post_init__(self) -> None:
        """Refuse a lease without a name: its hooks would run for nobody."""
        if not self.lease_name:
            message = "a lease needs a name"
            raise AssertionError(message)
