"""Gives every package of the workspace the one version, and pins its siblings to it.

`VERSION` is the only place that names the version. A package lists what it needs under
`[tool.hatch.metadata.hooks.custom]`; a requirement on a sibling gets `== <our version>`, so that a
package index never supplies an older release in its place.
"""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

ROOT = Path(__file__).resolve().parent
SIBLINGS = frozenset(path.name for path in (ROOT / "packages").iterdir())


def pin(requirement: str, version: str) -> str:
    """Return `requirement`, pinned to `version` when it names a package of this workspace."""
    match = re.match(r"([A-Za-z0-9._-]+)(\[[^]]*\])?$", requirement)
    if match is None or match[1] not in SIBLINGS:
        return requirement
    return f"{requirement}=={version}"


class WorkspaceMetadata(MetadataHookInterface):
    """Fills in `version`, `dependencies` and `optional-dependencies`."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the dynamic fields of one package."""
        version = (ROOT / "VERSION").read_text(encoding="utf-8").strip()
        metadata["version"] = version
        metadata["dependencies"] = [pin(item, version) for item in self.config["dependencies"]]
        if extras := self.config.get("optional-dependencies"):
            metadata["optional-dependencies"] = {
                extra: [pin(item, version) for item in items] for extra, items in extras.items()
            }
