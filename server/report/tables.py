"""Tables as rows of cells: what is known, what is withheld, what was never measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from common.metrics import METRICS
from common.tasks.base import Label
from server.report.answer import point, span
from server.report.summary import HIGHER_IS_BETTER, Line
from server.results import OVERALL, Answers, Results, StageHistory

WITHHELD, ABSENT = "withheld", "–"
SHORT = 12
"""Characters of a word that is narrower than the figures below it."""


@dataclass(frozen=True)
class Cell:
    """A cell's text, a smaller note under it, and how it looks."""

    text: str
    note: str = ""
    look: str = ""
    shade: str = ""
    code: bool = False


@dataclass(frozen=True)
class Row:
    """A row's heading and cells."""

    heading: str
    cells: tuple[Cell, ...]


def figures(lines: Sequence[Line], sites: Sequence[str], metric: str) -> list[Row]:
    """Lay out one metric: a row a site, the overall row first, a column a candidate; the best of a row stands out.

    References are left out of the comparison: they cover only the patients that have them.
    """
    rows = []
    for site in (OVERALL, *sites):
        best = _best(lines, site, metric)
        cells = tuple(_figure(line, site, metric, best) for line in lines)
        rows.append(Row("All patients" if site == OVERALL else site, cells))
    return rows


def networks(lines: Sequence[Line]) -> list[tuple[str, list[Row]]]:
    """Lay out all figures over all patients, a table a network: a row for each way it was trained."""
    families = dict.fromkeys(line.family for line in lines if line.kind != "reference")
    found = []
    for family in families:
        members = [line for line in lines if line.family == family and line.kind != "reference"]
        best = {metric: _best(members, OVERALL, metric) for metric in METRICS}
        rows = [
            Row(line.label, tuple(_figure(line, OVERALL, metric, best[metric]) for metric in METRICS))
            for line in members
        ]
        found.append((family or "Trees", rows))
    return found


def cross_site(lines: Sequence[Line], sites: Sequence[str]) -> list[Row]:
    """Show AUROC of each model on each site's patients; darker is better, a site's own patients are framed."""
    values = [figure.value for line in lines for site in sites if (figure := line.at(site))]
    low, high = min(values, default=0.0), max(values, default=1.0)
    return [
        Row(line.label, tuple(_shaded(line, site, low, high, own=line.label == site) for site in (OVERALL, *sites)))
        for line in lines
    ]


def cohort(results: Results, labels: Sequence[str]) -> list[Row]:
    """Count patients, stays and outcomes of every site, and their sums where all are known; mark invented ones."""
    rows = []
    noised = results.description is not None and results.description.epsilon is not None
    for site in results.sites:
        name = f"{site.name} (SYNTHETIC)" if site.name in results.synthetic else site.name
        if not site.counted:
            rows.append(Row(name, (Cell(ABSENT),) * (2 + len(labels))))
            continue
        outcomes = tuple(_outcome(site.answers[label], "≈ " if noised else "") for label in labels)
        if noised and site.patients is not None:
            rows.append(Row(name, (Cell(f"≈ {site.patients:,}"), Cell(ABSENT), *outcomes)))
            continue
        whole = (small(site.patients, results.minimum_cell), small(site.stays, results.minimum_cell))
        rows.append(Row(name, (*whole, *outcomes)))
    totals = [_total(getattr(site, name) for site in results.sites) for name in ("patients", "stays")]
    totals += [
        _total(site.answers[label].positives if label in site.answers else None for site in results.sites)
        for label in labels
    ]
    unknown = withheld() if all(site.counted for site in results.sites) and not noised else Cell(ABSENT)
    about = "≈ " if noised else ""
    cells = tuple(unknown if total is None else Cell(f"{about}{total:,}") for total in totals)
    return [*rows, Row("All sites", cells)] if len(results.sites) > 1 else rows


def _outcome(answers: Answers, about: str) -> Cell:
    """Show how many have an outcome; also withheld when those without it are few."""
    if answers.positives is None:
        return withheld()
    return Cell(f"{about}{answers.positives:,}", _share(answers.positives, answers.known))


def excluded(results: Results) -> list[Row]:
    """Count the stays each inclusion rule lost, by site."""
    rules = dict.fromkeys(rule for site in results.sites for rule in site.excluded)
    return [
        Row(rule, tuple(
            small(site.excluded[rule], results.minimum_cell) if rule in site.excluded else Cell(ABSENT)
            for site in results.sites
        ))
        for rule in rules
    ]  # fmt: skip


def exchanges(stages: Sequence[StageHistory]) -> list[Row]:
    """Sum rounds, bytes and seconds of every training stage over its repetitions."""
    rows = []
    for name in dict.fromkeys(stage.name for stage in stages):
        rounds = [r for stage in stages if stage.name == name for r in stage.rounds]
        seconds = sum(r.seconds for r in rounds)
        rows.append(Row(name, (
            Cell(f"{len(rounds):,}"),
            Cell(size(sum(r.bytes_down for r in rounds))),
            Cell(size(sum(r.bytes_up for r in rounds))),
            Cell(duration(seconds)),
            Cell(duration(seconds / len(rounds)) if rounds else ABSENT),
        )))  # fmt: skip
    return rows


def absences(stages: Sequence[StageHistory]) -> list[Row]:
    """Tell who was missing from which rounds, and why."""
    rounds: dict[tuple[str, str, str], list[int]] = {}
    several = len({stage.label for stage in stages if stage.label}) > 1
    for stage in stages:
        for r in stage.rounds:
            for site, reason in sorted(r.missing.items()):
                of = f"{stage.name}, {stage.label}" if stage.label and several else stage.name
                where = f"{of}, seed {stage.seed}, fold {stage.fold}"
                rounds.setdefault((site, where, reason), []).append(r.number)
    return [
        Row(site, (Cell(f"{where}, {_rounds(numbers)}"), Cell(reason)))
        for (site, where, reason), numbers in rounds.items()
    ]


def models(results: Results) -> list[Row]:
    """List model files with their digests."""
    return [
        Row(model.name, (
            Cell(model.label or ABSENT), Cell(f"{model.seed}"), Cell(f"{model.fold}"),
            Cell(f"{model.trees:,}" if model.trees else ABSENT), Cell(size(model.bytes)),
            Cell(model.file, code=True), Cell(model.digest, code=True),
        ))
        for model in results.models
    ]  # fmt: skip


def outcome_heading(question: Label) -> str:
    """Write the column heading of the outcome: "Died in hospital"."""
    return question.meaning[0].upper() + question.meaning[1:]


def small(count: int | None, minimum: int) -> Cell:
    """Show a count that stands alone: withheld means between 1 and the minimum."""
    return withheld(f"<{minimum}") if count is None else Cell(f"{count:,}")


def withheld(text: str = WITHHELD) -> Cell:
    """Make a cell that a site's small-cell rule keeps back."""
    return Cell(text, look="withheld")


def unbroken(heading: str) -> Markup:
    """Keep each short word of a column's heading on one line, though there are hyphens in it, as in "gru-d"."""
    words = heading.split(" ")
    return Markup(" ").join(
        Markup('<span class="whole">{}</span>').format(word) if "-" in word and len(word) <= SHORT else word
        for word in words
    )


def size(count: float) -> str:
    """Write bytes with a decimal unit."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:  # what rounds to 1000 belongs to the next unit
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def duration(seconds: float) -> str:
    """Write seconds as a reader says them: "53 ms", "4.2 s", "3 min 20 s", "2 h 5 min"."""
    if seconds < 0.9995:
        return f"{1000 * seconds:.3g} ms"
    if seconds < 59.95:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _best(lines: Sequence[Line], site: str, metric: str) -> float | None:
    ranked = [figure.value for line in lines if line.kind != "reference" and (figure := line.at(site, metric))]
    return (max if metric in HIGHER_IS_BETTER else min)(ranked, default=None)


def _figure(line: Line, site: str, metric: str, best: float | None) -> Cell:
    if (site, metric) not in line.figures:
        return Cell(ABSENT)
    figure = line.at(site, metric)
    if figure is None:
        return withheld()
    stands_out = line.kind != "reference" and best is not None and point(figure.value) == point(best)
    return Cell(point(figure.value), span(figure), "best" if stands_out else "")


def _shaded(line: Line, site: str, low: float, high: float, *, own: bool) -> Cell:
    plain = _figure(line, site, "auroc", None)
    figure = line.at(site)
    if figure is None:
        return plain
    if site == OVERALL:
        return Cell(plain.text)
    strength = (figure.value - low) / (high - low) if high > low else 0.5
    start, end = (240, 245, 250), (11, 79, 134)
    red, green, blue = (round(a + (b - a) * strength) for a, b in zip(start, end, strict=True))
    look = f"{'own ' if own else ''}{'dark' if strength > 0.68 else ''}".strip()
    return Cell(plain.text, look=look, shade=f"rgb({red} {green} {blue})")


def _share(part: int, whole: int | None) -> str:
    return f"{part / whole:.1%}" if whole else ""


def _total(counts: Iterable[int | None]) -> int | None:
    known = list(counts)
    return None if None in known else sum(count for count in known if count is not None)


def _rounds(numbers: Sequence[int]) -> str:
    """Rising numbers with runs joined: "rounds 1, 4–7"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    text = ", ".join(f"{run[0]}–{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)
    return f"round{'s' if len(numbers) > 1 else ''} {text}"
