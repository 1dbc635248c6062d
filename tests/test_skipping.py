"""A test that is skipped where everything is installed has failed: what it checks would go unseen."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

WAYS = {
    "calling": 'def test_it():\n    pytest.skip("the library is missing")\n',
    "marking": '@pytest.mark.skipif(True, reason="the library is missing")\ndef test_it():\n    pass\n',
    "importing": 'pytest.importorskip("no_such_module", reason="the library is missing")\ndef test_it():\n    pass\n',
    "data": 'def test_it():\n    pytest.skip("FEDWARD_DATA is not set")\n',
    "card": '@pytest.mark.skipif(True, reason="there is no GPU")\ndef test_it():\n    pass\n',
    "failing": '@pytest.mark.xfail(reason="known")\ndef test_it():\n    raise AssertionError\n',
}


def outcomes(folder: Path, *, ci: bool) -> str:
    """Run a file of tests for each way of being skipped."""
    for way, text in WAYS.items():
        (folder / f"test_{way}.py").write_text(f"import pytest\n{text}")
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    environment |= {"PYTHONPATH": str(Path(__file__).parent.parent), **({"CI": "true"} if ci else {})}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-rA",
        "-p",
        "tests.skipping",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        ".",
    ]
    return subprocess.run(
        [*command, "--continue-on-collection-errors"],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    ).stdout


def test_with_ci_set_only_data_and_cards_may_be_missing(tmp_path: Path) -> None:
    told = outcomes(tmp_path, ci=True)
    assert "1 failed, 2 skipped, 1 xfailed, 2 errors" in told
    for way in ("FAILED test_calling.py", "ERROR test_marking.py", "ERROR test_importing.py"):
        assert way in told
    assert told.count("nothing may be skipped: Skipped: the library is missing") >= 2


def test_elsewhere_a_skip_is_a_skip(tmp_path: Path) -> None:
    assert "5 skipped, 1 xfailed" in outcomes(tmp_path, ci=False)
