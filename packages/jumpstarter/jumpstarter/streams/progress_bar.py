"""The bar on a terminal. Imported only where one is drawn."""

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskProgressColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from .progress import Transfer


class ProgressBar:
    """Draws a transfer on standard error, from the first `show` to `close`."""

    def __init__(self, interval: float) -> None:
        """Expect to be told of changes at most every `interval` seconds."""
        self.interval = interval
        self._bar = Progress(
            BarColumn(),
            TaskProgressColumn(),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task("", total=None)

    def show(self, transfer: Transfer, now: float) -> None:
        """Draw the transfer as it is."""
        del now
        self._bar.start()
        self._bar.update(self._task, completed=transfer.moved, total=transfer.total)

    def close(self, transfer: Transfer, now: float) -> None:
        """Draw the transfer as it ended and leave the line on the screen."""
        self.show(transfer, now)
        self._bar.stop()
