"""Predictions as a file for its owner only; a file that is there is never written over."""

from __future__ import annotations

import csv
import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from client.predicting.appearing import appearing, clean
from common.exceptions import ConfigurationError
from common.room import enough_space, refused

Column = NDArray[Any]
ENDINGS = (".csv", ".parquet")


def require_free(path: Path) -> None:
    """Refuse a file that is there, has no folder, or is of another kind (ConfigurationError).

    What a killed command left in the folder is removed.
    """
    if path.suffix not in ENDINGS:
        raise ConfigurationError(f"{path}: predictions are written as {' or '.join(ENDINGS)}")
    if path.exists() or path.is_symlink():
        raise _taken(path)
    if not path.absolute().parent.is_dir():
        raise ConfigurationError(f"there is no folder {path.absolute().parent}")
    clean(path.absolute().parent)


def write(path: Path, columns: Mapping[str, Column]) -> None:
    """Write columns of one length, atomically; NaN is empty.

    Raises
    ------
    ConfigurationError
        The file is there, or its folder cannot be written to.
    DataError
        The disk is full.
    """
    folder = path.absolute().parent
    try:
        with enough_space(path.name, folder, instead="write to another one"), appearing(path) as place:
            (_csv if path.suffix == ".csv" else _parquet)(place, columns)
    except FileExistsError:
        raise _taken(path) from None
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be written: {error.strerror}; write to another folder") from None


def _taken(path: Path) -> ConfigurationError:
    return ConfigurationError(f"{path} is there already; predictions are never written over anything")


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

    # Of numbers DuckDB takes NaN for empty.
    held = {name: values.astype(object) if values.dtype.kind == "U" else values for name, values in columns.items()}
    with duckdb.connect(config={"temp_directory": ""}) as connection:  # nothing of it is spilt
        connection.register("held", held)
        # Into the very file: DuckDB would write another beside one that is there, under a name.
        place = str(path).replace("'", "''")
        try:
            connection.sql(f"COPY (FROM held) TO '{place}' (FORMAT parquet, USE_TMP_FILE false)")
        except duckdb.IOException as error:
            raise refused(str(error)) or OSError(errno.EIO, os.strerror(errno.EIO)) from None
