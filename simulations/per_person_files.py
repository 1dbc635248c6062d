"""Charted events to hourly vectors with a file a person and pandas: the way a benchmark compares with.

The steps are those of the MIMIC-III benchmarks' scripts (Harutyunyan et al., Scientific Data 2019): a row loop
splits the events into one CSV file a person; each is read, held against the person's stays and
written again; read again, its items joined with their variables, each stay pivoted and written;
read once more, row by row, into hourly bins.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator, Mapping
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

COLUMNS = ["subject_id", "hadm_id", "stay_id", "charttime", "itemid", "value", "valuenum", "valueuom"]


def split(events: Path, people: Path, most: int) -> None:
    """Write one file a person, of the first events."""
    people.mkdir()
    with gzip.open(events, "rt", newline="") as stream:
        rows = islice(csv.DictReader(stream), most)
        for person, mine in groupby(rows, key=lambda row: row["subject_id"]):
            with (people / f"{person}.csv").open("w", newline="") as part:
                writer = csv.DictWriter(part, COLUMNS, extrasaction="ignore")
                writer.writeheader()
                writer.writerows(mine)


def validate(file: Path, stays: Any) -> None:
    """Keep the events of known admissions, with their stay."""
    import pandas as pd

    mine = pd.read_csv(file, dtype={"hadm_id": str, "stay_id": str}).dropna(subset=["hadm_id"])
    known = stays[["hadm_id", "stay_id"]].astype(str)
    merged = mine.merge(known, on="hadm_id", how="inner", suffixes=("", "_known"))
    merged["stay_id"] = merged.stay_id.fillna(merged.stay_id_known)
    merged[merged.stay_id == merged.stay_id_known][COLUMNS].to_csv(file, index=False)


def episodes(file: Path, stays: Any, variables: Mapping[int, str]) -> list[Path]:
    """Write one table of hours and variables a stay."""
    import pandas as pd

    names = pd.DataFrame({"itemid": list(variables), "variable": list(variables.values())})
    mine = pd.read_csv(file, parse_dates=["charttime"]).merge(names, on="itemid").dropna(subset=["valuenum"])
    written = []
    for stay in stays[stays.subject_id == int(file.stem)].itertuples():
        one = mine[(mine.stay_id == stay.stay_id) & mine.charttime.between(stay.intime, stay.outtime)]
        hours = (one.charttime - stay.intime).dt.total_seconds() / 3600
        table = one.assign(hours=hours).sort_values(["hours", "variable"]).drop_duplicates(["hours", "variable"])
        written.append(file.with_name(f"{file.stem}-{stay.stay_id}.episode"))
        table.pivot(index="hours", columns="variable", values="valuenum").to_csv(written[-1])
    return written


def discretise(file: Path, normal: Mapping[str, float], hours: int) -> NDArray[np.float32]:
    """Put a stay into hourly bins: values carried on, beside what was measured; (hours, 2 v) float32."""
    names = list(normal)
    values, measured = np.zeros((hours, len(names)), np.float32), np.zeros((hours, len(names)), np.float32)
    for hour, name, value in _cells(file, hours):
        values[hour, names.index(name)], measured[hour, names.index(name)] = value, 1
    for column, name in enumerate(names):
        last = normal[name]
        for hour in range(hours):
            last = values[hour, column] = values[hour, column] if measured[hour, column] else last
    return np.hstack([values, measured])


def _cells(file: Path, hours: int) -> Iterator[tuple[int, str, float]]:
    with file.open(newline="") as stream:
        for row in csv.DictReader(stream):
            hour = max(int(np.ceil(float(row.pop("hours")))) - 1, 0)
            if hour < hours:
                yield from ((hour, name, float(text)) for name, text in row.items() if text)
