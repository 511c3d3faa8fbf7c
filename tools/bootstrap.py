"""Makes the tool environment `.tools` (pip and a pinned uv) with nothing but Python 3.11+ present.

Rule: standard library only, because nothing else is installed yet.
"""

import importlib.util
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".tools"
REQUIREMENTS = ROOT / "tools" / "requirements.txt"


def installer() -> list[str]:
    """Return the pip command that installs into `.tools`.

    Debian splits `ensurepip` off Python; there the pip of the system fills the new environment.

    Raises:
        SystemExit: this Python has neither of them.
    """
    python = str(TOOLS / "bin" / "python")
    if importlib.util.find_spec("ensurepip"):
        return [python, "-m", "pip"]
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", "--python", python]
    sys.exit(
        f"{sys.executable} has neither ensurepip nor pip: install python3-venv, then try again"
    )


def main() -> None:
    """Create or refresh `.tools`."""
    if sys.version_info < (3, 11):  # noqa: UP036 - whoever runs an older Python must be told so
        sys.exit(
            f"{sys.executable} is {sys.version.split()[0]}: make PYTHON=<Python 3.11 or newer>"
        )
    pip = installer()
    venv.create(TOOLS, with_pip=importlib.util.find_spec("ensurepip") is not None)
    command = [*pip, "install", "--quiet", "--disable-pip-version-check"]
    sys.exit(subprocess.call([*command, "--requirement", str(REQUIREMENTS)]))


if __name__ == "__main__":
    main()
