"""Rows put into a part of records that was read or drawn."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np


def merged(part: Any, owner: str, **rows: Any) -> Any:
    """Add rows and put the part into its order; new rows come after old ones of the same time."""
    columns = {name: np.concatenate([getattr(part, name), values]) for name, values in rows.items()}
    order = np.lexsort((columns["time"], columns[owner]))
    return replace(part, **{name: values[order] for name, values in columns.items()})
