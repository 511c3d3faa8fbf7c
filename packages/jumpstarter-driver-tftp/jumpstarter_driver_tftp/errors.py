"""Everything that this package raises, named for what the caller can do about it."""


class TftpError(Exception):
    """The TFTP driver could not do what was asked; the text says why and what to do."""


class ServerNotRunning(TftpError):  # noqa: N818 - a public name of release 0.9.0
    """The call needs a running server: start it first."""


class PortUnavailableError(TftpError, OSError):
    """The server cannot have its port: free it, get the permission, or choose another.

    An OSError too, so that an exporter takes it for a failure of its machine and not of its code.
    """


class DamagedError(TftpError):
    """A file did not arrive as it was sent: send it again."""


class TransferError(TftpError):
    """A transfer ended before the file was complete: the far side refused, or fell silent."""


class PacketError(ValueError):
    """A datagram is not a TFTP packet; the text is what its sender is told."""


class OptionError(ValueError):
    """A server acknowledged options in a way that nobody asked for."""


class FileRefused(Exception):  # noqa: N818 - it is an answer to a client, not a failure of ours
    """A file is not served.

    Attributes:
        code: the TFTP error code of the answer.
        text: the text of the answer.
    """

    def __init__(self, code: int, text: str) -> None:
        """Keep the two parts of the answer."""
        super().__init__(text)
        self.code = code
        self.text = text
