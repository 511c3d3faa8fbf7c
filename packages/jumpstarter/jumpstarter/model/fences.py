"""The fence in a router token: a number that grows each time a device gets another holder.

The token is the controller's, and came from it; it is read here, not verified. Controllers of
release 0.9.0 have no fences.
"""

import base64
import json
from typing import cast


def fence_of(token: str) -> int | None:
    """Return the fence that a router token names, or None where it names none."""
    _, _, rest = token.partition(".")
    payload, _, _ = rest.partition(".")
    try:
        claims: object = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except ValueError:
        return None
    if not isinstance(claims, dict):
        return None
    fence = cast("dict[str, object]", claims).get("fence")
    return fence if isinstance(fence, int) and not isinstance(fence, bool) else None
