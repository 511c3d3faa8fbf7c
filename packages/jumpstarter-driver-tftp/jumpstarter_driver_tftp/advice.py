"""The doctor's sentences: what is likely, and what to do about it. Pure.

Those with braces are for `str.format`; whoever uses one knows what goes in.
"""

from typing import Final

ETHERNET_BLOCK_BYTES: Final = 1468
"""What fits a packet of 1500 bytes with the headers of IPv4, UDP and TFTP."""

FIREWALL: Final = (
    "Answers come from a port of their own, and a firewall or NAT between may drop them: allow UDP "
    "to and from all ports above 1023, or set `single_port: true`."
)
FIREWALL_BACK: Final = "Does a firewall between drop our answers, or those of the device?"
WAY_BACK: Final = "Does the device know the way back (gateway, netmask), and does its link hold?"
FRAGMENTS: Final = (
    "Blocks of {block_size} bytes travel in fragments, which many boot loaders and firewalls drop; "
    f"ask for less (U-Boot: `setenv tftpblocksize {ETHERNET_BLOCK_BYTES}`)."
)
SMALLER_MTU: Final = (
    "Short packets arrive and full ones do not: a VLAN, tunnel or bridge between has a smaller "
    "MTU; ask for less (U-Boot: `setenv tftpblocksize 512`)."
)
SMALLER_WINDOW: Final = (
    "A window of {window} blocks may be more than its network driver can hold: ask for a smaller "
    "windowsize, or set `max_windowsize`."
)
BLOCK_NUMBERS_END: Final = (
    "That is where its block numbers end ({last}): it cannot take more than {most} in blocks of "
    "{block_size} bytes; ask for a larger blksize."
)
INTERRUPTED: Final = (
    "Was it reset or switched off, did it crash, or did the file overwrite its memory?"
)
NO_LAST_ACK: Final = "It did not acknowledge the end, which some boot loaders never do."
REPLACED: Final = (
    "Another request from the same port took its place: the device did not get our answers in "
    "time, or was reset."
)
GAVE_UP: Final = "The device gave up, or was reset: its own console says more."
LOSSY_LINK: Final = (
    "{packets} had to be sent again ({percent:.0f} %): the link loses packets; check cable, switch "
    "port and duplex, or use a smaller windowsize."
)
SLOW: Final = (
    "It is slow: {why}. Larger blocks and a window help, where the boot loader has them (U-Boot: "
    f"`setenv tftpblocksize {ETHERNET_BLOCK_BYTES}; setenv tftpwindowsize 16`)."
)
SLOW_ANSWERS: Final = "each answer took {milliseconds:.0f} ms"
SMALL_BLOCKS: Final = "blocks of {block_size} bytes, {blocks} per answer"
EMPTY: Final = "The file is empty: is it the right one?"

OTHER_CASE: Final = "There is {names}; upper and lower case must agree."
NEAR: Final = "There is {names}. Was that meant?"
NO_PLAIN_FILE: Final = "It is a directory, or something else that is no plain file."
MISSING: Final = "There is no such file; `j tftp put FILE --as {name}` puts it there."
LEADS_OUT: Final = "The name leads out of the directory that is served: `..` is not followed."
FORBIDDEN: Final = (
    "It is a symbolic link that leads out of the directory that is served, or the exporter has no "
    "permission to read it."
)
READ_ONLY: Final = (
    "Devices may write only with `writable: true` in the exporter's file, and only below the "
    "directory that is served."
)
EXISTS: Final = "Remove the file (`j tftp rm`), or set `overwrite: true` in the exporter's file."
NOT_TFTP: Final = "Something that does not speak TFTP uses this port, or packets are damaged."
MODES: Final = "Only the modes octet and netascii are known, not {mode}."

DISK_FULL: Final = "The exporter's disk is full, or the file is larger than `max_upload`."
BUSY: Final = (
    "Too much is going on at once: `j tftp status` shows it; the limits are `max_transfers` and "
    "`max_transfers_per_client`."
)
TOO_OFTEN: Final = (
    "This address asks more often than `max_requests_per_second` allows: is the device in a loop "
    "of resets, or are there many behind one address?"
)
STOPPED: Final = "The server was stopped meanwhile: start it and try again."
CHANGED: Final = "Something wrote to the file: try again when that is done."
SEE_LOG: Final = "The exporter's log says more."

OPTIONS_REFUSED: Final = "It asked for options and does not take what was granted ({granted})."
OR_ELSE: Final = "If it does not: {why}"
ONLY_SIZE: Final = "It only wanted to know the size; boot ROMs do, and then ask again."
NO_ROOM: Final = "The file does not fit where the device puts it: is it the right one?"
ABORTED: Final = (
    "Its own console says more: often the file does not fit its memory, or is none that it expects."
)
