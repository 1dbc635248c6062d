"""Why rows must not be split at random: a published-looking gain of health records, on data without any signal.

A published study merges films and health records on the patient, so that every film gets the records
and labels of the patient's last admission, and then splits the rows at random. Most held-out rows
have a twin in the training rows with the same records and the same labels. A model that recognises the
records knows the answer, and adding them looks like a large gain. Here the data are noise of the same shape,
so whatever is found beyond chance is leaked. Split by patient, nothing is found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from simulations.leakage.measuring import ARMS, METRICS, measure
from simulations.leakage.noise import ADMISSIONS, DISEASES, Disease
from simulations.leakage.page import render
from simulations.leakage.summary import Line, conclusion, interval, percents, summarise

SEEDS = (1, 2, 3, 4, 5)


def run(
    console: Console,
    folder: Path,
    admissions: int = ADMISSIONS,
    seeds: Sequence[int] = SEEDS,
    diseases: Sequence[Disease] = DISEASES,
) -> Mapping[str, object]:
    """Measure every arm with every seed; takes about a minute on two cores.

    Parameters
    ----------
    console : Console
    folder : Path
        Where ``leakage.html`` is written.
    admissions : int
        As many as the published study had, unless told otherwise.
    seeds : sequence of int
        Two or more; each draws data and split anew.
    diseases : sequence of Disease

    Returns
    -------
    mapping
        Arm to disease to metric to [mean, low, high], each in 0..1.
    """
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("training on noise", total=len(seeds) * len(ARMS) * len(diseases))
        figures = np.stack([measure(seed, admissions, diseases, lambda: progress.advance(bar)) for seed in seeds])
    lines = summarise(figures, diseases)
    console.print(_scores(lines))
    console.print(_areas(lines))
    console.print(conclusion(lines))
    page = folder / "leakage.html"
    page.write_text(render(lines, admissions, len(seeds)), encoding="utf-8")
    console.print(f"page: {page}")
    return {
        arm.title: {line.name: {metric: list(line.found[place][metric]) for metric in METRICS} for line in lines}
        for place, arm in enumerate(ARMS)
    }


def _scores(lines: Sequence[Line]) -> Table:
    table = Table(title="Precision / recall / F1 in percent, on data of noise")
    for head in ("", *(arm.title.replace(", ", ",\n") for arm in ARMS), "published:\nfilms", "published:\nboth"):
        table.add_column(head, justify="right" if head else "left")
    for line in lines:
        found = ([each[metric].mean for metric in METRICS[:3]] for each in line.found)
        table.add_row(line.name, *map(percents, (*found, line.films, line.films_and_records)))
    return table


def _areas(lines: Sequence[Line]) -> Table:
    table = Table(title="AUROC with its 95 % interval over seeds; 0.5 is chance")
    for head in ("", *(arm.title.replace(", ", ",\n") for arm in ARMS)):
        table.add_column(head, justify="right" if head else "left")
    for line in lines:
        table.add_row(line.name, *(interval(found["AUROC"]) for found in line.found))
    return table
