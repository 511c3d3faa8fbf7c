"""Settings for every test: under CI, a test that is skipped has failed.

Rule: a check that does not run proves nothing. At a desk a missing program may skip a test; CI
installs them all, so there a skip means that something is broken.
"""

import os
from collections.abc import Generator

import pytest

IN_CI = bool(os.environ.get("CI"))


def refuse_skip(report: pytest.CollectReport | pytest.TestReport) -> None:
    """Turn a skip into a failure that keeps the reason; an expected failure is none."""
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
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
