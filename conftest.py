"""Settings for every test: under CI, a test that is skipped has failed.

Rule: a check that does not run proves nothing. At a desk a missing program may skip a test; CI
installs them all, so there a skip means that something is broken. What cannot be installed, such as
a module of the kernel, is an exception; the reason of such a skip begins with words of `EXCUSES`.
"""

import asyncio
import os
from collections.abc import Generator
from typing import Any, cast

import pytest

try:
    from anyio._backends import _asyncio as backend
except ImportError:  # a package that needs no anyio has no test that does
    backend = None

IN_CI = bool(os.environ.get("CI"))
EXCUSES = ("this kernel has no", "this machine has no", "root may")


def refuse_skip(report: pytest.CollectReport | pytest.TestReport) -> None:
    """Turn a skip without excuse into a failure that keeps the reason."""
    if not IN_CI or not report.skipped or hasattr(report, "wasxfail"):
        return
    _, _, reason = cast("tuple[str, int, str]", report.longrepr)
    if not reason.removeprefix("Skipped: ").startswith(EXCUSES):
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {report.longrepr}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Look at the report of each test."""
    report = yield
    refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Look at the report of each collected file, which may skip as a whole."""
    report = yield
    refuse_skip(report)
    return report


def is_news_for_an_ended_loop(context: dict[str, Any]) -> bool:
    """Tell whether gRPC has told a loop that has ended of an operation that nobody waits for.

    gRPC has one poller for all loops of a process, which hands over what belongs to the others, and
    does not look whether they are still there. So it has nothing to do with the test that runs now.
    """
    error = context.get("exception")
    closed = isinstance(error, RuntimeError) and str(error) == "Event loop is closed"
    return closed and "_handle_events" in context.get("message", "")


def pytest_configure() -> None:
    """Let such news be logged; whatever else goes wrong in a loop still fails its test."""
    if backend is None:
        return
    runner: Any = backend.TestRunner  # anyio has no other place for this
    collect = runner._exception_handler

    def handle(self: object, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if is_news_for_an_ended_loop(context):
            loop.default_exception_handler(context)
        else:
            collect(self, loop, context)

    runner._exception_handler = handle
