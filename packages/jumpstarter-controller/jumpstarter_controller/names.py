"""Names of objects and labels, as Kubernetes writes them, and the identifiers that we make."""

import re
import uuid
from collections.abc import Mapping
from datetime import datetime

from .errors import InvalidRequest

LONGEST_NAME = 253
LONGEST_LABEL = 63

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")

MILLISECONDS = 1000


def check_name(kind: str, name: str) -> None:
    """Refuse a name that is no RFC 1123 subdomain; `kind` says of what."""
    if len(name) > LONGEST_NAME or _NAME.fullmatch(name) is None:
        raise InvalidRequest(
            f"{kind} name {name[:LONGEST_NAME]!r}: use at most {LONGEST_NAME} lower-case letters, "
            "digits, '-' and '.', with a letter or digit at each end"
        )


def is_label_name(text: str) -> bool:
    """Return whether `text` may be the name of a label, without a prefix."""
    return _LABEL.fullmatch(text) is not None


def is_label_value(text: str) -> bool:
    """Return whether `text` may be the value of a label."""
    return text == "" or _LABEL.fullmatch(text) is not None


def is_label_key(text: str) -> bool:
    """Return whether `text` may be the key of a label: a name, after `prefix/` or not."""
    prefix, slash, name = text.rpartition("/")
    if slash and (len(prefix) > LONGEST_NAME or _NAME.fullmatch(prefix) is None):
        return False
    return is_label_name(name)


def check_labels(labels: Mapping[str, str]) -> None:
    """Refuse labels that no selector could name."""
    for key, value in labels.items():
        if not is_label_key(key):
            raise InvalidRequest(f"{key!r} is not a label name")
        if not is_label_value(value):
            raise InvalidRequest(f"label {key}: {value!r} is not a label value")


def ordered_uuid(now: datetime, random: uuid.UUID) -> str:
    """Return a UUID of version 7: the time `now`, then what `random` gives."""
    milliseconds = int(now.timestamp() * MILLISECONDS) & 0xFFFF_FFFF_FFFF
    variant = 0b10 << 62
    low = random.int & 0x3FFF_FFFF_FFFF_FFFF
    middle = (random.int >> 64) & 0x0FFF
    return str(uuid.UUID(int=(milliseconds << 80) | (7 << 76) | (middle << 64) | variant | low))
