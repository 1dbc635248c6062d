"""What of an overall figure is the site: a reference that knows nothing else, and AUROC within and between sites."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from common import site_pairs
from common.score_histogram import ScoreHistogram
from common.seeding import generator
from server.report.answer import Answer, leading, point, span
from server.report.summary import Line
from server.report.tables import ABSENT, Cell, Row
from server.results import Interval

TELLING = 0.55
"""AUROC of the site alone from which the page warns at its top: more than models are often told apart by."""
HEAD = ["Score", "All pairs", "Of one site", "Of two sites"]


@dataclass(frozen=True)
class SiteAlone:
    """The section: sentences and a table; ``warning`` is empty where the site tells little."""

    lead: str
    rows: list[Row]
    warning: str


def section(shown: Sequence[Line], bootstraps: int) -> SiteAlone | None:
    """Make the section; None where fewer than two sites share counts of both classes together."""
    best = leading(shown)
    seeds = [sites for sites in best.counts if len(sites) > 1] if best else []
    if not seeds or not all(_both(sites) for sites in seeds):
        return None
    alone, share = [site_pairs.alone(sites) for sites in seeds], fmean(map(site_pairs.share_within, seeds))
    whole = fmean(one.whole for one in alone)
    rows = [Row("The site alone", _cells(alone, None))]
    rows += [_row(line, bootstraps) for line in shown if line.kind != "reference" and _comparable(line, seeds)]
    lead = (
        "AUROC over all patients looks at every pair of one with the outcome and one without. "
        f"{100 * (1 - share):.0f} % of these pairs are of two different sites, and in those it helps to know the site: "
        f"the prevalence at the patient's site as the only score reaches {point(whole)} over all pairs. Within a site "
        "it tells nothing."
    )
    warning = (
        f"The site alone tells much: its prevalence as the only score reaches AUROC {point(whole)} over all patients. "
        "A model that recognises the site (its patients, its devices, its labels) gains as much without knowing any "
        "disease: what counts are the figures of each site."
        if whole >= TELLING
        else ""
    )
    return SiteAlone(lead, rows, warning)


def warned(told: Answer, found: Mapping[str, SiteAlone | None]) -> Answer:
    """Return the answer with the warnings behind its first sentence, the overall figures; by label if several."""
    warnings = [
        f"{label}: {one.warning[0].lower()}{one.warning[1:]}" if len(found) > 1 else one.warning
        for label, one in found.items()
        if one and one.warning
    ]
    return replace(told, sentences=(*told.sentences[:1], *warnings, *told.sentences[1:]))


def _comparable(line: Line, seeds: Sequence[Sequence[ScoreHistogram]]) -> bool:
    """Whether the line is of the same rows, seed by seed."""
    return [_rows(sites) for sites in line.counts] == [_rows(sites) for sites in seeds]


def _row(line: Line, bootstraps: int) -> Row:
    intervals = [
        site_pairs.within(sites, generator(place, "report", "within sites", line.name), bootstraps)
        for place, sites in enumerate(line.counts)
    ]
    known = [one for one in intervals if one]
    spread = Interval(value=0.0, low=fmean(i.low for i in known), high=fmean(i.high for i in known)) if known else None
    return Row(line.label, _cells([site_pairs.parts(sites) for sites in line.counts], spread))


def _cells(found: Sequence[site_pairs.Parts], within: Interval | None) -> tuple[Cell, ...]:
    texts = (_mean([getattr(one, part) for one in found]) for part in ("whole", "within", "between"))
    whole, inside, between = texts
    return Cell(whole), Cell(inside, span(within) if within else ""), Cell(between)


def _mean(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return point(fmean(known)) if known else ABSENT


def _both(sites: Sequence[ScoreHistogram]) -> bool:
    return any(one.negatives.any() for one in sites) and any(one.positives.any() for one in sites)


def _rows(sites: Sequence[ScoreHistogram]) -> list[tuple[int, int]]:
    return [(int(one.negatives.sum()), int(one.positives.sum())) for one in sites]
