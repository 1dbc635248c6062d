"""The answer in words, computed from the figures and no kinder than they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from server.report.summary import Line, better, like, of_kind, overlap
from server.results import OVERALL, Interval


@dataclass(frozen=True)
class Answer:
    """What a reader in a hurry takes away: a headline and the sentences behind it."""

    headline: str
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Tally:
    """Sites where federated and own local model are both known, and how they compare."""

    sites: tuple[str, ...]
    helped: tuple[str, ...]
    clearly: tuple[str, ...]
    mean_gain: float


def point(value: float) -> str:
    """Write three decimals, the precision of every figure on the page."""
    return f"{value:.3f}"


def span(figure: Interval) -> str:
    """Write the ends of an interval: ``0.790–0.830``."""
    return f"{point(figure.low)}–{point(figure.high)}"


def leading(all_lines: Sequence[Line]) -> Line | None:
    """Choose the federated model with the highest overall AUROC; the first one when none is known."""
    federated = of_kind(all_lines, "federated")
    known = [line for line in federated if line.at(OVERALL)]
    return max(known, key=lambda line: _auroc(line), default=next(iter(federated), None))


def judged(all_lines: Sequence[Line]) -> Line | None:
    """Choose the federated model that is set against training alone: the leading one of those that sites have, too.

    An ensemble of several stages of trees, or with a network that was trained with noise, has no such twin.
    """
    return leading([line for line in all_lines if like(all_lines, line, "local")]) or leading(all_lines)


def tally(federated: Line, own: Line, sites: Sequence[str]) -> Tally | None:
    """Count the sites where training together beat training alone; None without a common figure."""
    pairs = {site: (federated.at(site), own.at(site)) for site in sites}
    known = {site: (one, other) for site, (one, other) in pairs.items() if one and other}
    if not known:
        return None
    helped = [site for site, (one, other) in known.items() if better(one, other)]
    clearly = [site for site in helped if not overlap(*known[site])]
    gain = sum(one.value - other.value for one, other in known.values()) / len(known)
    return Tally(tuple(known), tuple(helped), tuple(clearly), gain)


def answer(all_lines: Sequence[Line], sites: Sequence[str], synthetic: Sequence[str]) -> Answer:
    """Say whether federation helped, against training alone and against averaging the local models."""
    best, against = leading(all_lines), judged(all_lines)
    own, mean = like(all_lines, against, "local"), like(all_lines, against, "ensemble")
    count = tally(against, own, sites) if against and own else None
    federated = best.at(OVERALL) if best else None
    averaged = mean.at(OVERALL) if mean else None
    sentences = [
        *_overall(all_lines, against),
        *(_per_site(against, own, count) if against and own and count else ()),
        *_averaging(federated, averaged),
        *_not_counted(against, own, sites, count),
        *told_synthetic(sites, synthetic),
    ]
    averaging_wins = bool(federated and averaged and better(averaged, federated))
    return Answer(_headline(count, averaging_wins), tuple(sentences))


def _headline(count: Tally | None, averaging_does_better: bool) -> str:
    if count is None:
        return "Without a local baseline to compare with, this run cannot say whether federation helped."
    helped, sites = len(count.helped), len(count.sites)
    if not helped:
        text = f"Federation did not help at {_of_all(sites, 'any of the')}"
        return text + (", and averaging the local models does better." if averaging_does_better else ".")
    where = (
        _of_all(sites, "all")
        if helped == sites
        else f"{'only ' if 2 * helped < sites else ''}{helped} of {sites} sites"
    )
    return f"Federation helped at {where}" + (
        ", yet simply averaging the local models does better." if averaging_does_better else "."
    )


def _of_all(sites: int, words: str) -> str:
    return f"{words} {sites} sites" if sites > 1 else "the one site it can be judged at"


def _overall(all_lines: Sequence[Line], best: Line | None) -> list[str]:
    phrases = {"ensemble": "the mean of the local models", "pooled": "pooling all rows in one place"}
    parts = [
        (phrases.get(line.kind, line.label[0].lower() + line.label[1:]), line.at(OVERALL))
        for line in sorted(all_lines, key=lambda line: line.kind != "federated")
        if line.kind == "federated" or (line.kind in phrases and line is like(all_lines, best, line.kind))
    ]
    known = [f"{name} reaches AUROC {point(figure.value)} ({span(figure)})" for name, figure in parts if figure]
    shortened = [known[0], *(text.replace(" reaches AUROC", "") for text in known[1:])] if known else []
    references = [(line.label, line.at(OVERALL)) for line in of_kind(all_lines, "reference")]
    return [
        f"Over all held-out patients, {'; '.join(shortened)}." if known else "The overall figures are withheld.",
        *(
            f"The published score {name} reaches {point(f.value)} ({span(f)}) on the patients that have it."
            for name, f in references
            if f
        ),
    ]


def _per_site(best: Line, own: Line, count: Tally) -> list[str]:
    local, together = _spread(own, count.sites), _spread(best, count.sites)
    which = best.label[0].lower() + best.label[1:]
    text = f"On its own patients, a site's own model reaches {local}, {which} {together}"
    if not count.helped:
        return [f"{text}: training together is better nowhere."]
    clear = len(count.clearly)
    certainty = (
        "the two intervals overlap at each of them"
        if not clear
        else f"at {clear} of them the two intervals do not overlap"
    )
    if len(count.helped) == 1:
        certainty = f"the two intervals {'do not ' if clear else ''}overlap there"
    return [f"{text}: training together is better at {len(count.helped)} of {len(count.sites)}; {certainty}."]


def _spread(line: Line, sites: Sequence[str]) -> str:
    values = [figure.value for figure in map(line.at, sites) if figure]
    low, high = point(min(values)), point(max(values))
    return low if low == high else f"{low}–{high}"


def _averaging(federated: Interval | None, averaged: Interval | None) -> list[str]:
    """Write the sentence nobody who federates likes to read, where it is due."""
    if not federated or not averaged:
        return []
    what = "Averaging the predictions of the local models, which takes no training together,"
    overlapping = overlap(averaged, federated)
    if better(averaged, federated):
        doubt = " The intervals overlap, so the order of the two is uncertain." if overlapping else ""
        figures = f"{point(averaged.value)} against {point(federated.value)}"
        return [f"{what} does better than every federated model here: {figures}.{doubt}"]
    return [f"{what} is not clearly worse: the intervals overlap."] if overlapping else []


def _not_counted(best: Line | None, own: Line | None, sites: Sequence[str], count: Tally | None) -> list[str]:
    if count is None or not best or not own:
        return []
    absent = [site for site in sites if site not in count.sites]
    if not absent:
        return []
    names = ", ".join(absent) if len(absent) <= 5 else f"{len(absent)} sites"
    return [f"Not counted, because figures are withheld or missing: {names}."]


def told_synthetic(sites: Sequence[str], synthetic: Sequence[str]) -> list[str]:
    """Say which patients are invented."""
    if set(sites) <= set(synthetic):
        return ["The patients are synthetic: the figures say nothing about real ones."]
    names = ", ".join(synthetic)
    return [f"Patients of {names} are synthetic: no figure they are part of is about real ones."] if names else []


def _auroc(line: Line) -> float:
    figure = line.at(OVERALL)
    assert figure
    return figure.value
