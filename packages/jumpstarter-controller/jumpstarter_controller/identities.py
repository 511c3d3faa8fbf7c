"""Administrators and routers: who of them may call, kept in one file of the data directory.

They are no objects of the lab: there are few, they change by hand only, and the one that may make
all others has to exist before the first call.
"""

import json
import uuid
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

from jumpstarter.config.files import write_text
from jumpstarter.model.errors import ConfigurationError

from .errors import AlreadyExists, NotFound
from .keys import private_bytes
from .names import check_name
from .tokens import Kind, Subject

FORMAT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """An administrator or a router. A token of a generation before `generation` is void."""

    kind: Kind
    namespace: str
    name: str
    uid: str
    generation: int = 1

    @property
    def subject(self) -> Subject:
        """Who its next token is for."""
        return Subject(
            kind=self.kind,
            namespace=self.namespace,
            name=self.name,
            uid=self.uid,
            generation=self.generation,
        )


class Identities:
    """The administrators and routers of the file at `path`, which is replaced at each change."""

    def __init__(self, path: Path) -> None:
        """Read the file, if it exists. Raises ConfigurationError when it is wrong."""
        self._path = path
        self._members: dict[tuple[Kind, str, str], Member] = {}
        if path.exists():
            for member in _parsed(path):
                self._members[member.kind, member.namespace, member.name] = member

    def find(self, kind: Kind, namespace: str, name: str) -> Member | None:
        """Return the member of this name, if there is one."""
        return self._members.get((kind, namespace, name))

    def listed(self, kind: Kind, namespace: str) -> list[Member]:
        """Return the members of a kind, by name."""
        found = [m for m in self._members.values() if (m.kind, m.namespace) == (kind, namespace)]
        return sorted(found, key=lambda member: member.name)

    def add(self, kind: Kind, namespace: str, name: str) -> Member:
        """Add a member. Raises AlreadyExists, or InvalidRequest for a name that is none."""
        check_name(kind.lower(), name)
        if self.find(kind, namespace, name) is not None:
            raise AlreadyExists(f"{kind.lower()} {namespace}/{name} exists already")
        member = Member(kind=kind, namespace=namespace, name=name, uid=str(uuid.uuid4()))
        self._put(member)
        return member

    def rotate(self, kind: Kind, namespace: str, name: str) -> Member:
        """Make all tokens void that a member has. Raises NotFound."""
        old = self.get(kind, namespace, name)
        member = replace(old, generation=old.generation + 1)
        self._put(member)
        return member

    def remove(self, kind: Kind, namespace: str, name: str) -> None:
        """Remove a member. Raises NotFound."""
        gone = self.get(kind, namespace, name)
        self._write([member for member in self._members.values() if member is not gone])
        del self._members[kind, namespace, name]

    def get(self, kind: Kind, namespace: str, name: str) -> Member:
        """Return the member of this name. Raises NotFound."""
        member = self.find(kind, namespace, name)
        if member is None:
            raise NotFound(f"{kind.lower()} {namespace}/{name} not found")
        return member

    def _put(self, member: Member) -> None:
        key = (member.kind, member.namespace, member.name)
        members = {**self._members, key: member}
        self._write(list(members.values()))
        self._members = members

    def _write(self, members: list[Member]) -> None:
        data = {"format": FORMAT, "members": [asdict(member) for member in members]}
        write_text(self._path, json.dumps(data, indent=2) + "\n")


def _parsed(path: Path) -> list[Member]:
    try:
        data = cast("dict[str, Any]", json.loads(private_bytes(path)))
        if data["format"] != FORMAT:
            raise ConfigurationError(f"'{path}' was written by a newer release; install that one")
        entries = cast("list[dict[str, Any]]", data["members"])
        return [Member(kind=Kind(entry.pop("kind")), **entry) for entry in entries]
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, ConfigurationError):
            raise
        raise ConfigurationError(f"'{path}' is damaged; restore it from a backup") from None
