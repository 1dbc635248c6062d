"""From a hospital's table of charted events to hourly grids, beside the usual way with pandas.

A synthetic MIMIC-IV with up to 20 million events (gzip CSV, in a temporary folder; a quarter of the
events are of wanted items, a stay has 4,500) becomes grids of 48 hours in a fresh process, nothing
cached. The usual way, see `simulations/per_person_files.py`, takes the first stays of the same file and
is scaled by their events. Its 12 variables become 24 columns, ours 17 become 76.
"""

from __future__ import annotations

import importlib.util
import resource
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from common.clinical.examples import Examples
from common.clinical.records import NONE, Records
from common.crypto import keys
from common.exceptions import ConfigurationError
from common.tasks.base import Label, Task
from simulations.benchmarks.base import fit, in_fresh_process
from simulations.per_person_files import discretise, episodes, split, validate

SIZES = (2_000_000, 8_000_000, 20_000_000)
SAMPLE = 450_000
"""Events the usual way is measured on."""
EVENTS_OF_STAY, SECONDS_APART = 4_500, 72
HOURS = 48
GAIN_AIM, MEMORY_AIM = 20.0, 2.0
"""How many times as many events a second; GB of the whole process at its peak."""

WANTED = {
    **{220045: 86, 220179: 118, 220180: 59, 220181: 77, 220210: 19, 220277: 98},
    **{223761: 98, 223835: 40, 220621: 128, 220739: 4, 223900: 5, 223901: 6},
}
"""Items with a value each that is usual."""


def run(console: Console, sizes: Sequence[int] = SIZES, sample: int = SAMPLE) -> Mapping[str, object]:
    """Measure all sizes and the usual way, print a table and return the figures.

    Raises
    ------
    ConfigurationError
        When pandas is not installed.
    """
    if importlib.util.find_spec("pandas") is None:
        raise ConfigurationError("the comparison needs pandas, which the project's extra [test] installs")
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        for size in sizes:
            folder = Path(name) / str(size)
            write(folder, size)
            found[str(size)], _ = in_fresh_process(to_grids, str(folder), str(folder / "cache"))
        usual, _ = in_fresh_process(usual_way, str(folder), str(Path(name) / "people"), sample)
    # Processor time, as growth is a property of the work and not of what else the machine does meanwhile.
    line = fit(*([figures[what] for figures in found.values()] for what in ("events", "processor seconds")))
    largest = found[str(sizes[-1])]
    gain = largest["events a second"] / usual["events a second"]
    console.print(_table(found, usual))
    console.print(f"{line.slope * 1e6:.2f} processor s a million events more (a line explains {line.r_squared:.1%})")
    for what, value, aim, met in (
        ("times the usual way", gain, GAIN_AIM, gain >= GAIN_AIM),
        ("GB at the peak", largest["gigabytes"], MEMORY_AIM, largest["gigabytes"] <= MEMORY_AIM),
    ):
        console.print(f"{value:.1f} {what}, aim {aim:g}: {'met' if met else 'missed'}")
    return {"ours": found, "usual way": usual, "gain": gain, "linear": line.r_squared}


def write(folder: Path, events: int) -> None:
    """Write a synthetic MIMIC-IV with that many charted events."""
    import duckdb

    (folder / "hosp").mkdir(parents=True)
    (folder / "icu").mkdir()
    stays, at = -(-events // EVENTS_OF_STAY), "timestamp '2150-01-01 00:00:00'"
    leave = f"{at} + to_hours({EVENTS_OF_STAY * SECONDS_APART // 3600 + 2})"
    tables = {
        "hosp/patients.csv": "10000000 + i AS subject_id, 'F' AS gender, 60 AS anchor_age, 2150 AS anchor_year",
        "hosp/admissions.csv": "10000000 + i AS subject_id, 20000000 + i AS hadm_id, "
        f"{at} AS admittime, {leave} AS dischtime, NULL AS deathtime, i % 8 // 7 AS hospital_expire_flag",
        "icu/icustays.csv": "10000000 + i AS subject_id, 20000000 + i AS hadm_id, 30000000 + i AS stay_id, "
        f"'Unit' AS first_careunit, 'Unit' AS last_careunit, {at} AS intime, {leave} AS outtime",
    }
    with duckdb.connect(config={"memory_limit": "1GB"}) as connection:
        for name, columns in tables.items():
            connection.execute(f"COPY (SELECT {columns} FROM range({stays}) t(i)) TO '{folder / name}' (HEADER)")  # noqa: S608
        connection.execute(_events(events, folder / "icu" / "chartevents.csv.gz"))
    lab = "labevent_id,subject_id,hadm_id,itemid,charttime,value,valuenum,valueuom\n"
    (folder / "hosp" / "labevents.csv").write_text(lab)


def to_grids(folder: str, cache: str) -> dict[str, float]:
    """Read the events and put every stay on a grid, in this process."""
    from client.cohorts.assembling import assemble
    from client.datasets import mimic_iv
    from client.datasets.base import ALL
    from client.datasets.reading.cache import Cache
    from client.preprocessing.grid import hourly

    begin = time.perf_counter()
    records = mimic_iv.read(Path(folder), ALL, {"measurements"}, Cache(Path(cache), keys.temporary()))
    cohort = assemble(records, _TASK, ["series"])
    assert cohort.series is not None
    grid = hourly(cohort.series, HOURS)
    figures = _figures(len(grid.values) * EVENTS_OF_STAY, time.perf_counter() - begin)
    return figures | {"stays": len(grid.values)}


def usual_way(folder: str, people: str, events: int) -> dict[str, float]:
    """Do the same with a file a person and pandas, in this process."""
    import pandas as pd

    begin = time.perf_counter()
    split(Path(folder) / "icu" / "chartevents.csv.gz", Path(people), events)
    stays = pd.read_csv(Path(folder) / "icu" / "icustays.csv", parse_dates=["intime", "outtime"])
    normal = {str(item): float(value) for item, value in WANTED.items()}
    for file in sorted(Path(people).iterdir()):
        validate(file, stays)
        for episode in episodes(file, stays, {item: str(item) for item in WANTED}):
            discretise(episode, normal, HOURS)
    return _figures(events, time.perf_counter() - begin)


def _figures(events: int, seconds: float) -> dict[str, float]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "events": events,
        "seconds": seconds,
        "processor seconds": used.ru_utime + used.ru_stime,
        "events a second": events / seconds,
        "gigabytes": used.ru_maxrss / 2**20,  # kilobytes on Linux
    }


def _events(events: int, file: Path) -> str:
    """Return the SQL that writes the table of events; each is drawn from a hash of its number."""
    items, values = list(WANTED), list(WANTED.values())
    return f"""
COPY (
    SELECT 10000000 + stay AS subject_id, 20000000 + stay AS hadm_id, 30000000 + stay AS stay_id, '' AS caregiver_id,
        (timestamp '2150-01-01 00:00:00' + to_seconds({SECONDS_APART} * place))::VARCHAR AS charttime, '' AS storetime,
        CASE WHEN wanted THEN {items}[1 + kind] ELSE 228000 + kind END AS itemid,
        valuenum AS value, valuenum, '' AS valueuom, 0 AS warning
    FROM (
        SELECT stay, place, wanted, kind, CASE WHEN wanted AND kind < 9 THEN {values}[1 + kind] + draw // 48 % 5 - 2
            WHEN wanted THEN {values}[1 + kind] ELSE draw // 48 % 100 END AS valuenum
        FROM (
            SELECT i // {EVENTS_OF_STAY} AS stay, i % {EVENTS_OF_STAY} AS place, draw % 4 = 0 AS wanted,
                draw // 4 % {len(WANTED)} AS kind, draw
            FROM (SELECT i, (hash(i) % 1000000)::BIGINT AS draw FROM range({events}) t(i))
        )
    )
) TO '{file}' (FORMAT csv, HEADER, COMPRESSION gzip)"""  # noqa: S608


def _examples(records: Records) -> Examples:
    """Every stay, asked about after 48 hours."""
    stays, admissions = records.stays, records.admissions
    return Examples(
        patient=admissions.patient[stays.admission],
        admission=stays.admission,
        stay=np.arange(len(stays)),
        image=np.full(len(stays), NONE),
        start=stays.start,
        time=stays.start + HOURS,
        labels=admissions.died[stays.admission, None],
    )


_TASK = Task(
    name="first_hours",
    title="Every stay",
    unit="ICU stay",
    prediction_time=f"{HOURS} hours after admission to the unit",
    labels=(Label("death", "died in hospital"),),
    kind="binary",
    metrics=("auroc",),
    parts=("measurements",),
    examples=_examples,
)


def _table(found: Mapping[str, Mapping[str, float]], usual: Mapping[str, float]) -> Table:
    table = Table(title=f"Charted events to {HOURS} hourly vectors a stay")
    for column in ("", "events", "seconds", "processor seconds", "events a second", "GB at the peak"):
        table.add_column(column, justify="right" if column else "left")
    for name, figures in [*(("ours", figures) for figures in found.values()), ("a file a person, pandas", usual)]:
        table.add_row(
            name,
            f"{figures['events']:,.0f}",
            f"{figures['seconds']:.1f}",
            f"{figures['processor seconds']:.1f}",
            f"{figures['events a second']:,.0f}",
            f"{figures['gigabytes']:.2f}",
        )
    return table
