"""What a driver promises that writes images to a device, and reads them back."""

from abc import ABCMeta, abstractmethod
from typing import Any, ClassVar


class FlasherInterface(metaclass=ABCMeta):
    """Mix-in for drivers whose client is `jumpstarter.client.flasher.FlasherClient`.

    Handles are what a client sends for `self.resource(...)`; implementations export both methods.
    """

    driver_type: ClassVar[str] = "storage"

    @classmethod
    def client(cls) -> str:
        """Return the dotted path of the client class."""
        return "jumpstarter.client.flasher.FlasherClient"

    # Implementations of others are plain or coroutine functions, and name the handle as they like.
    @abstractmethod
    def flash(self, source: Any, target: str | None = None) -> Any:  # noqa: ANN401 - see above
        """Write the bytes of the handle `source` to `target`, a partition or device by name."""

    @abstractmethod
    def dump(self, target: Any, partition: str | None = None) -> Any:  # noqa: ANN401 - see above
        """Write the content of `partition` to the handle `target`."""
