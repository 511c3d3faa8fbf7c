"""Where clients and exporters meet, and what carries their bytes.

`running_router` serves a `Router`; a `Verifier` lets those in whose token one of its keys signed.
"""

from .certificates import ReloadingCertificate
from .claims import Claims, Side, Verifier, Verify, parse_keys
from .errors import KeysMissingError, TokenError
from .registration import KeyRing, Place, Registration
from .router import Router, running_router

__all__ = [
    "Router",
    "running_router",
    "Verify",
    "Verifier",
    "KeyRing",
    "parse_keys",
    "Claims",
    "Side",
    "Registration",
    "Place",
    "ReloadingCertificate",
    "TokenError",
    "KeysMissingError",
]
