"""What is charted of SYNTHETIC admissions: laboratory, bedside chart, and the emergency department's vital signs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulations.synthetic.equipment import Equipment
from simulations.synthetic.mimic_columns import CELSIUS, CHART, FAHRENHEIT, LABS
from simulations.synthetic.physiology import CONSCIOUSNESS
from simulations.synthetic.writing import Columns, moments, numbers

HOUR, DAY = 3600, 86_400
_LIMITS = {"oxygen_saturation": (50, 100), "fio2": (21, 100), "meanbp": (25, 200), "diastolic": (15, 150)}
CHARTED_DAYS = 4
"""The chart of a longer stay ends here."""
IN_EMERGENCY = 0.85
"""Share of admissions by way of the emergency department."""


def readings(rows: Columns, equipment: Equipment) -> Columns:
    """Return the first day's values as this hospital's equipment shows them, by measurement."""
    names = {lab.measure for lab in LABS.values()} | {item.measure for item in CHART.values()}
    shown = {name: rows[name] * equipment.factors.get(name, 1.0) for name in sorted(names & set(rows))}
    shown["oxygen_saturation"] = np.minimum(shown["oxygen_saturation"], 100)
    more = {"systolic": 1.4 * shown["meanbp"], "diastolic": 0.8 * shown["meanbp"]}
    return shown | more | {"fahrenheit": 1.8 * shown["temperature"] + 32}


def laboratory(rng: np.random.Generator, rows: Columns, shown: Columns) -> Columns:
    """Draw the laboratory's rows: what is taken is taken each morning of the first three days."""
    draws = np.clip((rows["end"] - rows["start"] - HOUR) // DAY + 1, 1, 3)
    parts = []
    for item, lab in LABS.items():
        taken = np.flatnonzero(~np.isnan(shown[lab.measure]))
        owner, nth = _repeated(taken, draws[taken])
        drift = np.exp(rng.normal(0, 0.002 if lab.measure in ("ph", "sodium") else 0.05, len(owner)) * (nth > 0))
        value = (shown[lab.measure][owner] * drift).round(2)
        parts.append((owner, rows["start"][owner] + HOUR + nth * DAY, np.full(len(owner), item), value))
    owner, time, items, value = _in_order(parts)
    units = np.array([LABS[item].unit for item in items.tolist()])
    empty = np.full(len(owner), "")
    return {
        "labevent_id": np.arange(len(owner)) + 1,
        "subject_id": rows["person"][owner],
        # A third of the laboratory's rows does not name the admission.
        "hadm_id": np.where(rng.random(len(owner)) < 0.3, "", rows["hadm"][owner].astype(np.str_)),
        "specimen_id": np.unique(np.stack([owner, time]), axis=1, return_inverse=True)[1] + 1,
        "itemid": items,
        "charttime": moments(time),
        "storetime": moments(time + HOUR),
        "value": numbers(value),
        "valuenum": numbers(value),
        "valueuom": units,
        "priority": np.full(len(owner), "ROUTINE"),
        **dict.fromkeys(("order_provider_id", "ref_range_lower", "ref_range_upper", "flag", "comments"), empty),
    }


def chart(rng: np.random.Generator, rows: Columns, shown: Columns, equipment: Equipment) -> Columns:
    """Draw the bedside chart of the stays in intensive care; the dying get worse."""
    unwanted = FAHRENHEIT if equipment.celsius else CELSIUS
    parts = []
    for item, charted in CHART.items():
        if item == unwanted:
            continue
        stays = np.flatnonzero((rows["unit start"] >= 0) & ~np.isnan(shown[charted.measure]))
        length = np.minimum(rows["unit end"] - rows["unit start"], CHARTED_DAYS * DAY)[stays]
        every = charted.hours * HOUR
        owner, nth = _repeated(stays, length // every + 1 if every else np.ones(len(stays), np.int64))
        course = np.where(rows["died"], charted.trend, -0.4 * charted.trend)[owner] * nth * every / DAY
        value = shown[charted.measure][owner] + course + rng.normal(0, charted.spread, len(owner)) * (nth > 0)
        parts.append(
            (
                owner,
                rows["unit start"][owner] + nth * every,
                np.full(len(owner), item),
                _possible(charted.measure, value),
            )
        )
    owner, time, items, value = _in_order(parts)
    return {
        "subject_id": rows["person"][owner],
        "hadm_id": rows["hadm"][owner],
        "stay_id": rows["stay"][owner],
        "caregiver_id": np.full(len(owner), ""),
        "charttime": moments(time),
        "storetime": moments(time + HOUR // 4),
        "itemid": items,
        "value": numbers(value),
        "valuenum": numbers(value),
        "valueuom": np.array([CHART[item].unit for item in items.tolist()]),
        "warning": np.zeros(len(owner), np.int64),
    }


def emergency(rng: np.random.Generator, rows: Columns, shown: Columns) -> tuple[Columns, Columns]:
    """Draw visits to the emergency department before admission, and their vital signs; temperature in Fahrenheit."""
    came = np.flatnonzero(~rows["elective"] & (rng.random(len(rows["hadm"])) < IN_EMERGENCY))
    arrived = rows["start"][came] - rng.integers(2 * HOUR, 9 * HOUR, len(came))
    keys = {"subject_id": rows["person"][came], "hadm_id": rows["hadm"][came], "stay_id": rows["hadm"][came] + 10**9}
    visits = keys | {
        "intime": moments(arrived),
        "outtime": moments(rows["start"][came]),
        "gender": np.where(rows["male"], "M", "F")[came],
        "race": np.full(len(came), "UNKNOWN"),
        "arrival_transport": np.full(len(came), "UNKNOWN"),
        "disposition": np.full(len(came), "ADMITTED"),
    }
    columns = {"heartrate": "heartrate", "resprate": "respiratoryrate", "o2sat": "oxygen_saturation"}
    columns |= {"sbp": "systolic", "dbp": "diastolic", "temperature": "fahrenheit"}
    signs = {name: shown[measure][came] for name, measure in columns.items()}
    signs = {
        name: numbers(_possible(columns[name], value + rng.normal(0, 0.5, len(came)))) for name, value in signs.items()
    }
    empty = np.full(len(came), "")
    return visits, keys | signs | {"charttime": moments(arrived + HOUR // 2), "rhythm": empty, "pain": empty}


def _repeated(owner: NDArray[np.int64], times: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Repeat each owner, and number its repetitions from 0."""
    first = np.cumsum(times) - times
    return np.repeat(owner, times), np.arange(int(times.sum())) - np.repeat(first, times)


def _in_order(parts: Sequence[tuple[NDArray[Any], ...]]) -> tuple[NDArray[Any], ...]:
    """Join rows of owner, time, item and value, in order of the first three."""
    owner, time, item, value = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    order = np.lexsort((item, time, owner))
    return owner[order], time[order], item[order], value[order]


def _possible(measure: str, value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round as it is charted, within what can be."""
    if measure in CONSCIOUSNESS:
        return np.clip(value.round(), 1, len(CONSCIOUSNESS[measure]) + 1)
    if measure in ("temperature", "fahrenheit", "weight", "height"):
        return value.round(1)
    low, high = _LIMITS.get(measure, (4, 250))
    return np.clip(value.round(), low, high)
