"""`jmp completion`."""

import click
from click.shell_completion import get_completion_class

_PROGRAMS = ("jmp", "j")
_AUTOLOADED = "[[ $zsh_eval_context[-1] == loadautofunc ]] && return"


def completion(shell: str) -> int:
    """Print the scripts of both programs for a shell; each asks its program for the words."""
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"this version of click knows no {shell}")
    scripts = [
        kind(click.Command(name), {}, name, f"_{name.upper()}_COMPLETE").source()
        for name in _PROGRAMS
    ]
    # Loaded from a file named _jmp, the first script answers for jmp; the second must not run then.
    click.echo(f"\n{_AUTOLOADED}\n".join(scripts) if shell == "zsh" else "\n".join(scripts))
    return 0
