"""Serving a tree of drivers: session, hooks, and the exporter that owns them."""

from .exporter import Exporter as Exporter
from .session import Session as Session
