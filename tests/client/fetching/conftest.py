"""A fetch that is watched."""

from __future__ import annotations

import pytest

from tests.client.fetching.publisher import Watch


@pytest.fixture
def watch() -> Watch:
    return Watch()
