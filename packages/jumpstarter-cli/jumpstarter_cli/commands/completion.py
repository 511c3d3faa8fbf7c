"""`jmp completion`."""

import click

from jumpstarter_cli.deferred import deferred


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> int:
    """Print the script that completes jmp and j in a shell.

    \b
    bash:  source <(jmp completion bash)
    zsh:   source <(jmp completion zsh)
    fish:  jmp completion fish | source
    """
    return deferred("actions.completion:completion")(shell)
