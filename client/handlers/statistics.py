"""Counts of the whole cohort, under the site's small-cell rule."""

from __future__ import annotations

import numpy as np

from client.site import Site
from common.disclosure import class_counts, suppress
from common.messages import StatisticsReply, StatisticsRequest
from common.plan import Plan


def count(site: Site, plan: Plan, request: StatisticsRequest) -> StatisticsReply:  # noqa: ARG001
    """Count stays, positives and patients; small cells are withheld, directly and by subtraction."""
    table = site.table(plan)
    minimum = site.settings.policy.minimum_cell
    counts = class_counts(table.labels, minimum)
    excluded = [suppress(stays, minimum) for stays in table.excluded.values()]
    patients = len(np.unique(table.patients))
    # Less the stays or the positives, it would tell how many came back or did not have the outcome.
    others = [count for count in (0, counts.total, counts.positives) if count is not None]
    shown = all(suppress(abs(patients - other), minimum) is not None for other in others)
    return StatisticsReply(
        minimum_cell=minimum,
        patients=patients if shown else None,
        stays=counts.total,
        positives=counts.positives,
        rules=list(table.excluded),
        excluded=[-1 if stays is None else stays for stays in excluded],
    )
