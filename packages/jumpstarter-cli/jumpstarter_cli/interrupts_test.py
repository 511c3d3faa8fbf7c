"""Signals that end a program, wherever its main thread is."""

import signal
import subprocess
import sys

import pytest

WAITS = """
import signal, sys, threading
from jumpstarter_cli.interrupts import interruptible

def interrupt_here() -> None:
    signal.pthread_kill(threading.get_ident(), int(sys.argv[1]))

never = threading.Lock()
try:
    with interruptible():
        never.acquire()
        threading.Timer(0.2, interrupt_here).start()
        never.acquire()
except KeyboardInterrupt:
    handlers = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    assert handlers == (signal.SIG_DFL, signal.default_int_handler), handlers
    assert signal.set_wakeup_fd(-1) == -1
    sys.exit(7)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_that_does_not_wake_the_main_thread_ends_its_wait(number: signal.Signals):
    """As one that comes when it is just about to wait."""
    done = subprocess.run([sys.executable, "-c", WAITS, str(number.value)], timeout=20, check=False)
    assert done.returncode == 7


def test_signals_that_were_ignored_stay_so():
    program = "import signal; from jumpstarter_cli.interrupts import interruptible\n"
    program += "with interruptible():\n  assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN"
    argv = ["nohup", sys.executable, "-c", program]
    subprocess.run(argv, capture_output=True, timeout=20, check=True)
