"""What commands ask the one who typed them.

On standard error, so that `-o path` leaves the path alone on standard output.
"""

import click

_INSECURE = "A controller that is not verified can be anybody. Go on without verifying it?"
_DRIVERS = "Driver clients to allow besides the installed ones (such as mylab.*, or UNSAFE for all)"


def ask(question: str, default: str = "", *, hidden: bool = False) -> str:
    """Return the answer, or `default` for none."""
    return click.prompt(
        question, default=default, show_default=bool(default), hide_input=hidden, err=True
    )


def confirm_insecure(*, insecure: bool, nointeractive: bool) -> None:
    """Make sure that a controller is really not to be verified; raises Abort when it is."""
    if insecure and not nointeractive:
        click.confirm(_INSECURE, abort=True, err=True)


def ask_drivers() -> str:
    """Return which driver clients to allow, as a list with commas."""
    return ask(_DRIVERS)
