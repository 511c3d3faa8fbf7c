"""More blocks than a packet has numbers for: 65535 is followed by 0, again and again."""

import pytest

from jumpstarter_driver_tftp.options import Terms
from jumpstarter_driver_tftp.packet import Ack
from jumpstarter_driver_tftp.transfer import Command, Receiver, Send, Sender, Write

NUMBERS = 1 << 16
BLKSIZE = 8


class Transfer:
    """A sender and a receiver without a network between them."""

    def __init__(self, windowsize: int, before: int = 0) -> None:
        """Begin after `before` blocks, which are not carried: that would take too long."""
        terms = Terms(BLKSIZE, windowsize)
        self.sender = Sender(terms, tries=2)
        self.receiver = Receiver(terms, tries=2, opening=Ack(0).encode())
        # Nothing but a test begins in the middle.
        self.sender._base += before  # pyright: ignore[reportPrivateUsage]
        self.receiver._next += before  # pyright: ignore[reportPrivateUsage]
        self.written: list[bytes] = []
        self.lose: int | None = None  # the number of a block that gets lost, once

    def carry(self, content: bytes) -> bytes:
        """Carry a file, and return what is written."""
        self.receiver.start(0.0)
        self.sender.supply(content, 0.0, last=True)
        commands: list[Command] = self.sender.start(0.0)
        while commands:
            answers = [answer for command in commands for answer in self.receive(command)]
            commands = [command for ack in answers for command in self.sender.receive(ack, 0.0)]
            if not commands and (due := self.sender.deadline()) is not None:
                commands = self.sender.timeout(due)
        return b"".join(self.written)

    def receive(self, command: Command) -> list[bytes]:
        """Give what the sender sends to the receiver, and return what that answers."""
        if not isinstance(command, Send):
            return []
        if int.from_bytes(command.datagram[2:4], "big") == self.lose:
            self.lose = None
            return []
        commands = self.receiver.receive(command.datagram, 0.0)
        self.written += [write.data for write in commands if isinstance(write, Write)]
        return [answer.datagram for answer in commands if isinstance(answer, Send)]


def blocks(count: int) -> bytes:
    """Return as many blocks, all different."""
    return b"".join(number.to_bytes(BLKSIZE, "big") for number in range(count))


@pytest.mark.parametrize("windowsize", [1, 64, 1000])
def test_numbers_wrap_again_and_again(windowsize: int):
    transfer = Transfer(windowsize)
    content = blocks(3 * NUMBERS + 5)
    assert transfer.carry(content) == content
    assert transfer.sender.acknowledged_blocks == 3 * NUMBERS + 6
    assert transfer.receiver.acknowledged_blocks == 3 * NUMBERS + 6
    assert transfer.sender.done == transfer.receiver.done == len(content)
    assert (transfer.sender.resent, transfer.receiver.resent) == (0, 0)


@pytest.mark.parametrize("windowsize", [1, 7, 65535])
@pytest.mark.parametrize(
    "before",
    [
        pytest.param(NUMBERS - 1, id="at the first wrap"),
        pytest.param(NUMBERS - 5, id="a window across the wrap"),
        pytest.param((4 << 30) // 512 - 3, id="at the end of 4 GiB in blocks of 512"),
        pytest.param((1 << 40) // BLKSIZE - 3, id="at the end of 1 TiB in blocks of 8"),
    ],
)
def test_numbers_wrap_far_into_a_file(windowsize: int, before: int):
    transfer = Transfer(windowsize, before)
    content = blocks(20) + b"end"
    assert transfer.carry(content) == content
    assert transfer.sender.acknowledged_blocks == before + 21
    assert transfer.sender.done == before * BLKSIZE + len(content)


@pytest.mark.parametrize("lost", range(NUMBERS - 4, NUMBERS + 7))
def test_lost_block_is_sent_again_across_the_wrap(lost: int):
    transfer = Transfer(4, NUMBERS - 5)
    transfer.lose = lost & 0xFFFF
    content = blocks(10)
    assert transfer.carry(content) == content
    assert transfer.sender.resent > 0
