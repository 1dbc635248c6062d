"""Counts of the whole cohort: exact under the site's small-cell rule, or with noise where the plan says so.

Noise is drawn once for a question about the same data. The reply is kept, so that asking again, in this
run or another, costs no privacy and cannot average the noise out.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from client import policy
from client.preprocessing import tabulating
from client.preprocessing.table import Table
from client.preprocessing.telling import excluding
from client.site import Site
from common.clinical.records import NONE
from common.clinical.variables import Layout, layout
from common.disclosure import ClassCounts, class_counts, suppress
from common.exceptions import PolicyRefusal
from common.messages import NoisedStatisticsReply, NoisedStatisticsRequest, StatisticsReply, StatisticsRequest
from common.plan import Plan
from common.privacy.events import DiscreteLaplace
from common.privacy.mechanisms import Below, noised, shares
from common.room import enough_space
from common.serialization import canonical, digest_json, parse, write_atomic


def count(site: Site, plan: Plan, request: StatisticsRequest) -> StatisticsReply:  # noqa: ARG001
    """Count patients, stays and the answers to each label, and the tables the plan asks for as far as allowed."""
    minimum = site.settings.policy.minimum_cell
    table, told, _ = _open(site, plan)
    _bind(site, told)
    whole = class_counts(table.labels, table.patients, minimum).total
    counts = _answers(site, plan, table, minimum) if whole else [ClassCounts(None, None)] * len(plan.label_names)
    # Many stays of few people are few people.
    excluded = [-1 if suppress(lost.people, minimum) is None else lost.candidates for lost in table.excluded.values()]
    people, persons = np.unique(table.patients, return_inverse=True)
    cells, moments = _tables(table, persons, told, minimum) if whole else ([], {})
    return StatisticsReply(
        minimum_cell=minimum,
        patients=_patients(len(people), whole, counts, minimum),
        stays=whole,
        known=[-1 if each.total is None else each.total for each in counts],
        positives=[-1 if each.positives is None else each.positives for each in counts],
        rules=list(table.excluded),
        excluded=excluded,
        cells=cells,
        moments=list(moments),
        means=[mean for mean, _ in moments.values()],
        deviations=[deviation for _, deviation in moments.values()],
    )


def count_noised(site: Site, plan: Plan, request: NoisedStatisticsRequest) -> NoisedStatisticsReply:  # noqa: ARG001
    """Count patients with noise: drawn once for a question about the same data, and kept."""
    epsilon = plan.statistics.epsilon
    if epsilon is None:
        raise PolicyRefusal("the plan of this run states no epsilon")
    table, told, asked = _open(site, plan)
    source = site.settings.data.source
    question = [source, plan.task, plan.label_names, plan.modalities, plan.statistics.model_dump(mode="json")]
    rows = [site.settings.data.by, site.settings.data.values, table.digest]
    each = shares(epsilon, len(asked.labels), len(asked.features))
    mechanisms = [
        DiscreteLaplace(float(share), len(part)) for share, part in zip(each, told, strict=True) if share and part
    ]

    def draw() -> bytes:
        cells = noised_cells(table, told, each, secrets.randbelow)
        reply = NoisedStatisticsReply(minimum_cell=site.settings.policy.minimum_cell, epsilon=epsilon, cells=cells)
        return reply.model_dump_json().encode()

    name = digest_json([question, len(told.features), rows])
    patients = len(np.unique(table.patients))
    kept = site.releases.noised(name, site.run, plan, "statistics", mechanisms, draw, patients=patients)
    return NoisedStatisticsReply.model_validate_json(kept)


def noised_cells(table: Table, told: Layout, each: tuple[Fraction, Fraction], below: Below) -> list[int]:
    """Count each patient once, by the first row, and add noise.

    Parameters
    ----------
    table, told
    each : (Fraction, Fraction)
        Epsilon of every label's table, and of every feature's.
    below : callable
        See :mod:`common.privacy.mechanisms`.
    """
    first = table.select(np.unique(table.patients, return_index=True)[1])
    return [
        cell
        for values, part, epsilon in zip(_values(first), told, each, strict=True)
        for variable in part
        for cell in noised(tabulating.count(values, variable), epsilon, below)
    ]


def _open(site: Site, plan: Plan) -> tuple[Table, Layout, Layout]:
    """Return the data, what of it the site tells, and what the plan asks for."""
    policy.permit_epsilon(site.settings.policy, plan.statistics.epsilon)
    table = site.table(plan)
    asked = layout(plan, table.feature_names)
    for variable in asked.features:
        tabulating.require_unit(table.units, variable)
    return table, asked if policy.described(site.settings.policy) else Layout(asked.labels, ()), asked


def _answers(site: Site, plan: Plan, table: Table, minimum: int) -> list[ClassCounts]:
    """Count the known answers to each label, and the positive ones.

    Nothing is told of a label whose answer is unknown of few people. Of several labels that exclude each other no
    positives are told where one is small, or all others together: their sum is known.
    """
    found = []
    for label, column in zip(plan.label_names, plan.label_columns, strict=True):
        unknown = np.unique(table.patients[table.answers[:, column] == NONE])
        rows = site.about(plan, label)
        counts = class_counts(rows.labels, rows.patients, minimum)
        found.append(counts if suppress(len(unknown), minimum) is not None else ClassCounts(None, None))
    if excluding(plan):
        rest = np.unique(table.patients[table.labels == 0])
        if suppress(len(rest), minimum) is None or any(each.positives is None for each in found):
            return [ClassCounts(each.total, None) for each in found]
    return found


def _patients(people: int, stays: int | None, counts: Sequence[ClassCounts], minimum: int) -> int | None:
    """Return how many people there are, or None where with the other counts it would tell a small one.

    Less the stays or the positives, it would tell how many came back or did not have the outcome. And of
    few people with several stays, a class or cell just large enough would tell how many are not in it.
    """
    if stays is None or (people < stays and people < 2 * minimum):
        return None
    shown = (count for each in counts for count in (each.total, each.positives))
    others = [0, stays, *(count for count in shown if count is not None)]
    told = all(suppress(abs(people - other), minimum) is not None for other in others)
    return people if told else None


def _bind(site: Site, told: Layout) -> None:
    """Keep the edges over which numbers are told; no later plan is told others."""
    asked = {variable.name: list(variable.edges) for variable in told.features if variable.continuous}
    if not asked:
        return
    file = _folder(site) / "edges.json"
    before = parse(file.read_bytes()) if file.exists() else {}
    policy.permit_edges(before, asked)
    with enough_space(file.parent.name, file.parent):
        write_atomic(file, canonical({**before, **asked}))


def _folder(site: Site) -> Path:
    folder = site.state / "statistics"
    folder.mkdir(exist_ok=True, mode=0o700)
    return folder


def _tables(
    table: Table, persons: tabulating.Cells, told: Layout, minimum: int
) -> tuple[list[int], dict[int, tuple[float, float]]]:
    """Cells of all tables, and mean and standard deviation by position of the feature."""
    cells: list[int] = []
    found: dict[int, tuple[float, float]] = {}
    for values, part in zip(_values(table), told, strict=True):
        for position, variable in enumerate(part):
            own = tabulating.tell(values, variable, persons, minimum)
            cells += own
            if moments := tabulating.moments(values, variable, own):
                found[position] = moments
    return cells, found


def _values(table: Table) -> tuple[tabulating.Values, tabulating.Values]:
    """Answers and features as numbers, NaN where unknown."""
    return np.where(table.answers == NONE, np.nan, table.answers).astype(np.float32), table.features
