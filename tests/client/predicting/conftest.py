"""Both ways in which predictions come to be."""

from __future__ import annotations

import pytest

from client.predicting import appearing


@pytest.fixture(params=["unnamed", "named"])
def how(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file system with files that have no name, and one without."""
    if request.param == "named":
        monkeypatch.setattr(appearing, "_unnamed", lambda folder: None)
    return str(request.param)
