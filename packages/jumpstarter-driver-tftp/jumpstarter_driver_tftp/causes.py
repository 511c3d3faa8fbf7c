"""What a request came to, why, and what to do about it: the knowledge behind the doctor. Pure.

Each function returns the outcome first, then causes and advice, a line each.
"""

from collections.abc import Callable, Mapping

from jumpstarter_driver_tftp import advice
from jumpstarter_driver_tftp.options import DEFAULT_BLOCK_BYTES
from jumpstarter_driver_tftp.packet import TftpErrorCode
from jumpstarter_driver_tftp.reports import Report, State
from jumpstarter_driver_tftp.wording import counted, quoted, size_in_words, speed_in_words

LOSSY = 0.01
"""More than this part of the packets sent again is no accident."""

LOSSY_PACKETS = 5
"""Fewer than this are one."""

SLOW_BYTES_PER_SECOND = 1 << 20
SLOW_SECONDS = 2.0
"""A transfer that took less is quick enough, whatever its rate."""

SLOW_RTT = 0.02
"""Seconds for an answer above which the device, and not the network, sets the pace."""

_FEW_BLOCKS = 1
_COUNTERS = (32767, 65535)
"""Where block numbers of 16 bits, and those that are taken for signed ones, end."""

_SERVER_FAULTS = {
    "Server is busy": advice.BUSY,
    "Too many requests": advice.TOO_OFTEN,
    "Server is stopping": advice.STOPPED,
    "File changed while it was sent": advice.CHANGED,
}
_FOR_SHELLS = frozenset(" '\"`$&;|<>()*?!#~")


def causes(report: Report, *, single_port: bool = False) -> list[str]:
    """Return what a request came to, then why, and what to do about it."""
    if report.state is State.SILENT:
        return _silent(report, single_port=single_port)
    return _OUTCOMES[report.state](report)


def _running(report: Report) -> list[str]:
    return [f"still under way, {_progress(report)}"]


def _complete(report: Report) -> list[str]:
    verb = "got it" if report.action == "read" else "wrote it"
    speed = speed_in_words(report.done, report.seconds)
    lines = [f"{verb}, {size_in_words(report.done)} in {report.seconds:.2f} s ({speed})"]
    empty = [] if report.done else [advice.EMPTY]
    return [*lines, *empty, *_losses(report), *_slowness(report)]


def _refused(report: Report) -> list[str]:
    head = f"refused, {_error(report)}"
    if report.code == TftpErrorCode.FILE_NOT_FOUND:
        return [head, *_missing(report)]
    return [head, _why_refused(report)]


def _why_refused(report: Report) -> str:
    match report.code:
        case TftpErrorCode.ACCESS_VIOLATION:
            return _forbidden(report)
        case TftpErrorCode.FILE_EXISTS:
            return advice.EXISTS
        case TftpErrorCode.ILLEGAL_OPERATION:
            known = report.mode in {"", "octet", "netascii"}
            return advice.NOT_TFTP if known else advice.MODES.format(mode=quoted(report.mode))
        case _:
            return _server_fault(report)


def _missing(report: Report) -> list[str]:
    lines = [advice.NO_PLAIN_FILE] if report.text == "Not a file" else []
    asked = report.name.replace("\\", "/").lstrip("/")
    if report.near:
        names = ", ".join(quoted(name) for name in report.near)
        if asked.casefold() == report.near[0].casefold():
            return [*lines, advice.OTHER_CASE.format(names=names)]
        lines.append(advice.NEAR.format(names=names))
    plain = asked.isprintable() and not set(asked) & _FOR_SHELLS
    return lines or [advice.MISSING.format(name=asked if plain and asked else "NAME")]


def _forbidden(report: Report) -> str:
    if ".." in report.name.replace("\\", "/").split("/"):
        return advice.LEADS_OUT
    return advice.READ_ONLY if report.action == "write" else advice.FORBIDDEN


def _server_fault(report: Report) -> str:
    if report.code == TftpErrorCode.DISK_FULL:
        return advice.DISK_FULL
    return _SERVER_FAULTS.get(report.text, advice.SEE_LOG)


def _failed(report: Report) -> list[str]:
    return [f"this server ended it {_after(report)}: {_error(report)}", _server_fault(report)]


def _aborted(report: Report) -> list[str]:
    head, why = f"the device ended it {_after(report)}: {_error(report)}", _why_aborted(report)
    if not report.blocks and any(name.lower() == "tsize" for name, _ in report.asked):
        return [head, advice.ONLY_SIZE, advice.OR_ELSE.format(why=why)]
    return [head, why]


def _why_aborted(report: Report) -> str:
    if report.code == TftpErrorCode.OPTION_REFUSED:
        granted = ", ".join(f"{name} {value}" for name, value in report.granted) or "none"
        return advice.OPTIONS_REFUSED.format(granted=granted)
    return advice.NO_ROOM if report.code == TftpErrorCode.DISK_FULL else advice.ABORTED


def _silent(report: Report, *, single_port: bool) -> list[str]:
    read = report.action == "read"
    if report.whole:
        return [f"got it, {size_in_words(report.done)}, then fell silent", advice.NO_LAST_ACK]
    if not report.heard:
        return _never_heard(report, single_port=single_port)
    if read and not report.blocks and report.block_size > DEFAULT_BLOCK_BYTES:
        return [f"asked for blksize {report.block_size}, then fell silent: MTU?", _mtu(report)]
    if read and report.blocks <= _FEW_BLOCKS:
        firewall = advice.FIREWALL_BACK if single_port else advice.FIREWALL
        stop = f"ACKs stop at block {report.blocks}"
        return [stop, firewall, *_window(report), advice.WAY_BACK]
    why = _wrapped(report) or [*_losses(report), *_window(report), advice.INTERRUPTED]
    return [f"fell silent {_after(report)}", *why]


def _never_heard(report: Report, *, single_port: bool) -> list[str]:
    first = "block 1" if report.action == "read" else "its request"
    sent = "the options that it asked for" if report.granted else first
    head = f"no answer at all to {sent}, sent {counted(report.resent + 1, 'time')}"
    # What a device writes begins with a full block, so that may be what never arrives.
    large = report.action == "write" and report.block_size > DEFAULT_BLOCK_BYTES
    firewall = advice.FIREWALL_BACK if single_port else advice.FIREWALL
    return [head, firewall, *([_mtu(report)] if large else []), advice.WAY_BACK]


def _mtu(report: Report) -> str:
    if report.block_size > advice.ETHERNET_BLOCK_BYTES:
        return advice.FRAGMENTS.format(block_size=report.block_size)
    return advice.SMALLER_MTU


def _window(report: Report) -> list[str]:
    if report.window == 1 or report.action != "read":
        return []
    return [advice.SMALLER_WINDOW.format(window=report.window)]


def _wrapped(report: Report) -> list[str]:
    for last in _COUNTERS:
        if 0 <= last - report.blocks < report.window or report.blocks == last + 1:
            most = size_in_words((last + 1) * report.block_size)
            text = advice.BLOCK_NUMBERS_END
            return [text.format(last=last, most=most, block_size=report.block_size)]
    return []


def _gone(report: Report) -> list[str]:
    if report.whole:
        return [f"got it, {size_in_words(report.done)}, and closed its port"]
    head = f"ended {_after(report)}: {quoted(report.text, '')}"
    return [head, advice.REPLACED if "anew" in report.text else advice.GAVE_UP]


def _losses(report: Report) -> list[str]:
    sent = report.blocks + report.resent
    if report.resent < LOSSY_PACKETS or report.resent < LOSSY * sent:
        return []
    packets, percent = counted(report.resent, "packet"), 100 * report.resent / sent
    return [advice.LOSSY_LINK.format(packets=packets, percent=percent)]


def _slowness(report: Report) -> list[str]:
    if report.seconds < SLOW_SECONDS or report.done >= SLOW_BYTES_PER_SECOND * report.seconds:
        return []
    if report.rtt is not None and report.rtt >= SLOW_RTT:
        why = advice.SLOW_ANSWERS.format(milliseconds=1000 * report.rtt)
    else:
        blocks = counted(report.window, "block")
        why = advice.SMALL_BLOCKS.format(block_size=report.block_size, blocks=blocks)
    return [advice.SLOW.format(why=why)]


def _after(report: Report) -> str:
    return "before the first block" if not report.blocks else f"after {_progress(report)}"


def _progress(report: Report) -> str:
    of = "" if report.size is None else f" of {size_in_words(report.size)}"
    return f"{counted(report.blocks, 'block')}, {size_in_words(report.done)}{of}"


def _error(report: Report) -> str:
    text = f" {quoted(report.text, chr(34))}" if report.text else ""
    return f"error {report.code}{text}"


_OUTCOMES: Mapping[State, Callable[[Report], list[str]]] = {
    State.RUNNING: _running,
    State.COMPLETE: _complete,
    State.REFUSED: _refused,
    State.ABORTED: _aborted,
    State.FAILED: _failed,
    State.GONE: _gone,
}
