"""As many processes as there are cores to use, not as the machine has."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from client.preprocessing import ahead


@pytest.mark.parametrize(
    ("quota", "allowed", "expected"),
    [
        ("max 100000", 8, 8),
        ("200000 100000", 8, 2),
        ("150000 100000", 8, 2),
        ("20000 100000", 8, 1),
        ("900000 100000", 8, 8),
        ("max 100000", 3, 3),
        (None, 5, 5),
    ],
)
def test_a_container_may_use_fewer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str | None, allowed: int, expected: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(allowed)))
    monkeypatch.setattr(ahead, "QUOTA", tmp_path / "cpu.max")
    if quota is not None:
        (tmp_path / "cpu.max").write_text(quota + "\n")
    assert ahead.cores() == expected
