"""Settings for every test: under CI, a test that is skipped has failed.

Rule: a check that does not run proves nothing. At a desk a missing program may skip a test; CI
installs them all, so there a skip means that something is broken. What cannot be installed, such as
a module of the kernel, is an exception; the reason of such a skip begins with words of `EXCUSES`.
"""

import os
from collections.abc import Generator
from typing import cast

import pytest

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
