"""No check is left out unseen: on a server for tests, where all is installed, a skip is a failure."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import TypeVar

import pytest

MAY_BE_MISSING = ("FEDWARD_DATA", "GPU")
"""What no extra of the package brings: open data, and a card."""

R = TypeVar("R", pytest.TestReport, pytest.CollectReport)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _without_unforeseen_skips((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _without_unforeseen_skips((yield))


def _without_unforeseen_skips(report: R) -> R:
    """Let a skip fail where the variable CI is set, as its servers do: there everything is installed."""
    if "CI" in os.environ and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not any(missing in reason for missing in MAY_BE_MISSING):
            report.outcome, report.longrepr = "failed", f"with CI set nothing may be skipped: {reason}"
    return report
