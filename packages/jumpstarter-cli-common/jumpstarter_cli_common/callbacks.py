"""What long work tells the one who waits for it, and asks."""

import click


class ClickCallback:
    """Tells on the terminal; `silent` leaves out everything but warnings and errors."""

    def __init__(self, silent: bool = False) -> None:  # noqa: FBT001, FBT002 - public API
        """Tell, or not."""
        self.silent = silent

    def progress(self, message: str) -> None:
        """Tell what is being done."""
        if not self.silent:
            click.echo(message)

    def success(self, message: str) -> None:
        """Tell what has been done."""
        if not self.silent:
            click.echo(message)

    def warning(self, message: str) -> None:
        """Tell what is odd."""
        click.echo(f"Warning: {message}", err=True)

    def error(self, message: str) -> None:
        """Tell what went wrong."""
        click.echo(f"Error: {message}", err=True)

    def confirm(self, prompt: str) -> bool:
        """Ask, and return the answer."""
        return click.confirm(prompt)


class ForceClickCallback(ClickCallback):
    """Asks nothing: the answer is yes."""

    def confirm(self, prompt: str) -> bool:
        """Return that it is to be done."""
        del prompt
        return True


class SilentWithConfirmCallback(ClickCallback):
    """Tells nothing, and asks all the same."""

    def __init__(self) -> None:
        """Be silent."""
        super().__init__(silent=True)
