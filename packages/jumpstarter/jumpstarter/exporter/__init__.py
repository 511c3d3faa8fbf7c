"""Serving a tree of drivers: session, hooks, and the exporter that owns them."""

from .session import Session as Session
