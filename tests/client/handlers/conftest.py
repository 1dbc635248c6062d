"""A site whose small hospital has enough deaths to tell figures."""

from __future__ import annotations

from typing import Any

import pytest

pytest.register_assert_rewrite("tests.client.handlers.asking")


@pytest.fixture
def ward(open_ward: Any) -> Any:
    """Return the second hospital: twelve deaths in each of the two folds."""
    return open_ward("ward-2", values=["2"])
