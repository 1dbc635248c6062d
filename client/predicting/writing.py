"""Predictions as a file for its owner only; a file that is there is never written over."""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.exceptions import ConfigurationError
from common.serialization import flush_folder

Column = NDArray[Any]
ENDINGS = (".csv", ".parquet")


def require_free(path: Path) -> None:
    """Refuse a file that is there, has no folder, or is of another kind (ConfigurationError)."""
    if path.suffix not in ENDINGS:
        raise ConfigurationError(f"{path}: predictions are written as {' or '.join(ENDINGS)}")
    if path.exists() or path.is_symlink():
        raise ConfigurationError(f"{path} is there already; predictions are never written over anything")
    if not path.absolute().parent.is_dir():
        raise ConfigurationError(f"there is no folder {path.absolute().parent}")


def write(path: Path, columns: Mapping[str, Column]) -> None:
    """Write columns of one length, atomically; NaN is empty.

    Raises
    ------
    ConfigurationError
        The file is there.
    """
    folder = path.absolute().parent
    with tempfile.TemporaryDirectory(dir=folder, prefix=".predictions-") as private:  # for its owner only
        temporary = Path(private) / path.name
        (_csv if path.suffix == ".csv" else _parquet)(temporary, columns)
        temporary.chmod(0o600)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)  # unlike renaming, it fails where something is
        except FileExistsError:
            require_free(path)
    flush_folder(folder)


def _csv(path: Path, columns: Mapping[str, Column]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*map(_texts, columns.values()), strict=True))


def _texts(values: Column) -> list[str]:
    if values.dtype.kind == "f":
        return ["" if np.isnan(value) else repr(float(value)) for value in values]
    return [str(value) for value in values]


def _parquet(path: Path, columns: Mapping[str, Column]) -> None:
    import duckdb

    held = {name: values.astype(object) if values.dtype.kind == "U" else values for name, values in columns.items()}
    empty = {name: f"nullif(\"{name}\", 'nan')" for name, values in held.items() if values.dtype.kind == "f"}
    told = ", ".join(f'{empty.get(name, name)} AS "{name}"' for name in held)
    with duckdb.connect(config={"temp_directory": ""}) as connection:  # nothing of it is spilt
        connection.register("held", held)
        connection.sql(f"SELECT {told} FROM held").write_parquet(str(path))  # noqa: S608 (names are ours)
