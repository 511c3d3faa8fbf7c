"""Sphinx settings.

Rule: what the code can tell is taken from the code. The page of a package is its README, the
reference of the commands comes from the commands, that of the exporter file from its schema.
"""

import shutil
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
PAGES = DOCS / "packages"

sys.path.insert(0, str(DOCS / "extensions"))

project = "Jumpstarter"
author = "The Jumpstarter authors"
release = version = (ROOT / "VERSION").read_text(encoding="utf-8").strip()
extensions = ["myst_parser", "reference"]
exclude_patterns = ["_build", "extensions"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
nitpicky = True
html_theme = "furo"
html_title = f"Jumpstarter {release}"


def copy_readmes() -> None:
    """Make the README of each package a page, with its examples beside it as links expect them."""
    shutil.rmtree(PAGES, ignore_errors=True)
    for readme in sorted((ROOT / "packages").glob("*/README.md")):
        page = PAGES / readme.parent.name
        page.mkdir(parents=True)
        shutil.copy(readme, page)
        for example in readme.parent.glob("examples/*.yaml"):
            (page / "examples").mkdir(exist_ok=True)
            shutil.copy(example, page / "examples")


copy_readmes()
