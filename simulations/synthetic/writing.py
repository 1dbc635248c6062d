"""How invented tables are written: the same bytes for the same rows, in a folder that says that they are invented."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from client.datasets.base import SYNTHETIC_MARKER
from common.serialization import canonical

Columns = dict[str, NDArray[Any]]


def mark(folder: Path, made: Mapping[str, Any]) -> None:
    """Make a folder and say in it what made its content, before the first invented row is there."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SYNTHETIC_MARKER).write_bytes(canonical(dict(made)))


def write_table(path: Path, header: Sequence[str], parts: Sequence[Columns]) -> None:
    """Write a gzip CSV from columns; those beyond the header are left out."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for columns in parts:
        writer.writerows(zip(*(columns[name].tolist() for name in header), strict=True))
    path.parent.mkdir(parents=True, exist_ok=True)
    # No time of writing in the file: the same arguments give the same bytes.
    path.write_bytes(gzip.compress(text.getvalue().encode(), compresslevel=6, mtime=0))


def moments(seconds: NDArray[np.int64]) -> NDArray[np.str_]:
    """Write seconds since 1970 as 2150-01-31 23:59:00; before 1970 is empty."""
    texts = np.strings.replace(seconds.astype("datetime64[s]").astype(np.str_), "T", " ")
    return np.where(seconds < 0, "", texts)


def numbers(values: NDArray[np.float64]) -> NDArray[np.str_]:
    """Write numbers without needless decimals; missing is empty."""
    return np.array(["" if value != value else f"{value:.10g}" for value in values.tolist()], dtype=np.str_)
