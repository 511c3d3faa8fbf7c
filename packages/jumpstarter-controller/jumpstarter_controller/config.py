"""What an operator chooses about a controller; everything has a default but the data directory."""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

from .book import Settings
from .certificates import FilePair
from .services.dialing import DEFAULT_PATIENCE, Patience
from .services.messages import NO_RULES, LabelRules

TOKEN_LIFETIME: Final = timedelta(days=365)
ADMIN_NAME: Final = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A controller. Addresses are `host:port`; port 0 lets the system choose one.

    `data` is the directory with the keys, and with the database unless `database` names another, as
    a file or a URL of SQLAlchemy. `endpoint` is what callers are told to connect to, where that is
    not the address of `grpc`. `certificate` is None for one that is made and kept in `data`, good
    for the endpoint's host and `other_hosts`.
    `trusted_keys` are files with public keys of controllers whose tokens are accepted too.
    """

    data: Path
    database: str | None = None
    namespace: str = "default"
    grpc: str = "127.0.0.1:8082"
    endpoint: str | None = None
    login: str | None = None
    certificate: FilePair | None = None
    other_hosts: tuple[str, ...] = ()
    trusted_keys: tuple[Path, ...] = ()
    token_lifetime: timedelta = TOKEN_LIFETIME
    settings: Settings = field(default_factory=Settings)
    rules: LabelRules = NO_RULES
    patience: Patience = DEFAULT_PATIENCE
    grace: float = 5.0
    """Seconds for calls that change something to finish when the controller stops."""
