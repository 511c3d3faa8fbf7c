"""Drivers that only arrange others: a group of them, and a stand-in for one elsewhere in the tree.

A proxy appears to clients as its target, under the proxy's own name: same identity, same client
class, the target's children below it. It finds the target when the tree is enumerated, which the
exporter does before it serves anything.
"""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import field
from typing import ClassVar
from uuid import UUID

from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter.driver import Driver
from jumpstarter_protocol import jumpstarter_pb2
from pydantic.dataclasses import dataclass


class CompositeInterface:
    """Has children, and clients that reach them as attributes."""

    driver_type: ClassVar[str] = "composite"

    @classmethod
    def client(cls) -> str:
        """Return the dotted path of the client class."""
        return "jumpstarter_driver_composite.client.CompositeClient"


class Composite(CompositeInterface, Driver):
    """A group of drivers; the root of an exporter is one."""


@dataclass(kw_only=True)
class Proxy(Driver):
    """Stands for the driver at `ref`: the names from the root to it, joined by dots.

    Attributes that a proxy does not have itself are the target's, so that a parent uses it as if
    it were the target. Closing or resetting it does so to the target, also when that happens at
    the target's own place in the tree as well.
    """

    driver_type: ClassVar[str] = "composite"

    ref: str
    """Where the target is, for instance `board.serial`."""

    _target: Driver | None = field(init=False, default=None, repr=False)
    _busy: bool = field(init=False, default=False, repr=False)

    @classmethod
    def client(cls) -> str:
        """Return the class of a client without methods; clients are told that of the target."""
        return "jumpstarter.client.DriverClient"

    def report(
        self, *, parent: Driver | None = None, name: str | None = None
    ) -> jumpstarter_pb2.DriverInstanceReport:
        """Return the target's report; RuntimeError before the tree was enumerated."""
        return self._resolved().report(parent=parent, name=name)

    def enumerate(
        self,
        *,
        root: Driver | None = None,
        parent: Driver | None = None,
        name: str | None = None,
    ) -> list[tuple[UUID, Driver | None, str | None, Driver]]:
        """Return the target's rows, below this proxy's parent and under its name.

        Raises ConfigurationError when `ref` leads nowhere, or back to the proxy itself.
        """
        target = self.resolve(root)
        with self._guarded():
            return target.enumerate(root=root, parent=parent, name=name)

    def close(self) -> None:
        """Close the target; without one there is nothing to close."""
        if self._target is not None:
            self._target.close()

    def reset(self) -> None:
        """Reset the target; without one there is nothing to reset."""
        if self._target is not None:
            self._target.reset()

    def resolve(self, root: Driver | None) -> Driver:
        """Return the driver that `ref` leads to from `root`; found once, then remembered.

        Raises ConfigurationError as `enumerate` does.
        """
        if self._target is None:
            if root is None:
                message = f"proxy to {self.ref!r}: a proxy cannot be the root of a tree"
                raise ConfigurationError(message)
            with self._guarded():
                self._target = self._follow(root)
        return self._target

    def _follow(self, root: Driver) -> Driver:
        driver = root
        for name in self.ref.split("."):
            if name not in driver.children:
                known = ", ".join(driver.children) or "nothing"
                message = f"proxy to {self.ref!r}: there is no {name!r}; known there: {known}"
                raise ConfigurationError(message)
            driver = driver.children[name]
            if isinstance(driver, Proxy):
                driver = driver.resolve(root)
        return driver

    @contextmanager
    def _guarded(self) -> Generator[None]:
        """Refuse to be entered from inside itself: the target would contain this proxy."""
        if self._busy:
            message = f"proxy to {self.ref!r}: it leads back to itself"
            raise ConfigurationError(message)
        self._busy = True
        try:
            yield
        finally:
            self._busy = False

    def _resolved(self) -> Driver:
        if self._target is None:
            message = f"proxy to {self.ref!r} has no target before the exporter serves"
            raise RuntimeError(message)
        return self._target

    def __getattr__(self, name: str) -> object:
        """Return the target's attribute; RuntimeError before the tree was enumerated."""
        if name.startswith("__"):
            # Python and pydantic look for optional methods; a proxy has none of them.
            raise AttributeError(name)
        return getattr(self._resolved(), name)
