"""One synthetic hospital, written once for all checks of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulations.synthetic.eicu_layout import generate


@pytest.fixture(scope="session")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the tables of one synthetic hospital, which no test changes."""
    folder = tmp_path_factory.mktemp("hospital")
    generate(1, 300, 9, folder)
    return folder
