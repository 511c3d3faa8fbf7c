"""The two machines that carry a file, and what they ask of whoever runs them.

No I/O, no clock, no logger: a datagram, a chunk of the file or the passing of a deadline goes in
with the time, and a list of commands comes out, to be carried out in order. A server that is read
from and a client that writes run a `Sender`; the other two run a `Receiver`.
"""

from jumpstarter_driver_tftp.transfer.commands import Command, Finish, Outcome, Send, Write
from jumpstarter_driver_tftp.transfer.receiver import Receiver
from jumpstarter_driver_tftp.transfer.sender import READ_AHEAD_BYTES, Sender

__all__ = [
    "Command",
    "Finish",
    "Outcome",
    "Send",
    "Write",
    "Sender",
    "Receiver",
    "READ_AHEAD_BYTES",
]
