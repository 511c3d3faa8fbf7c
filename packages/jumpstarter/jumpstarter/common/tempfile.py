"""Public path of temporary listeners; they live in `jumpstarter.streams.listeners`."""

from jumpstarter.streams.listeners import TemporarySocket as TemporarySocket
from jumpstarter.streams.listeners import TemporaryTcpListener as TemporaryTcpListener
from jumpstarter.streams.listeners import TemporaryUnixListener as TemporaryUnixListener
