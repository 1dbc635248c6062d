"""The check as text in a terminal, short enough for one look; the page has the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.box import SIMPLE_HEAD
from rich.console import Console, JustifyMethod
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from client.check.examining import Checked
from client.check.films import Films
from client.check.findings import Description
from client.check.wording import limits, listed, number, percent, several, signed, size
from client.datasets.reading import progress
from common.tasks.base import Task

FIRST = 10
"""Lines of a list that goes on on the page."""
_BAR = 20
_NAME = 28
"""Names of as many letters are never folded."""


def show(checked: Checked, console: Console) -> None:
    """Print what was found, the verdict last.

    Parameters
    ----------
    checked : Checked
    console : Console
        Shows text as it is, without markup: names come from data.
    """
    asked = checked.question
    console.print(
        f"{asked.source}: {asked.task.title}{' (SYNTHETIC patients)' if checked.synthetic else ''}", style="bold"
    )
    _files(checked, console)
    _table(console, "In the records", [(name, number(count)) for name, count in checked.sizes.items()])
    _table(console, "Not in the records", [(why, number(count)) for why, count in checked.left_out.items()])
    if checked.films:
        _films(checked.films, console)
    _implausible(checked, console)
    if checked.cohort:
        _cohort(checked.cohort, asked.task, console)
    console.print(checked.verdict.privacy)
    for warning in checked.verdict.warnings:
        console.print(f"look: {warning}", style="yellow")
    for error in checked.verdict.errors:
        console.print(f"error: {error}", style="bold red")
    usable = checked.verdict.usable
    console.print("usable" if usable else "not usable", style="bold green" if usable else "bold red")


@contextmanager
def watched() -> Iterator[None]:
    """Show on standard error what is being read and how far it is; on a terminal only."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        bars.add_task("checking", total=None)
        known = {}

        def told(name: str, done: int, total: int) -> None:
            if name not in known:
                known[name] = bars.add_task(name)
            bars.update(known[name], completed=done, total=total or None, visible=done < total)

        with progress.shown(told):
            yield


def _table(
    console: Console, title: str, rows: Iterable[Sequence[str]], heads: Sequence[str] = (), more: int = 0
) -> None:
    """Print a table whose first column is text and whose others are numbers; nothing without rows."""
    caption = f"and {more} more" if more > 0 else None
    table = Table(title=title, title_justify="left", title_style="bold", caption=caption, caption_justify="left")
    table.box, table.show_header = SIMPLE_HEAD, bool(heads)
    rows = list(rows)
    longest = max((len(line) for row in rows for line in row[0].splitlines()), default=0)
    for column in range(max(map(len, rows), default=0)):
        side: JustifyMethod = "right" if column else "left"
        whole = column == 0 and longest <= _NAME
        table.add_column(heads[column] if heads else "", justify=side, overflow="fold", no_wrap=whole)
    for row in rows:
        table.add_row(*row)
    if rows:
        console.print(table)


def _files(checked: Checked, console: Console) -> None:
    read = checked.inventory.read
    rows = [(file.name, number(file.rows), number(file.columns), size(file.size)) for file in read]
    _table(console, "Files read", rows, ("File", "Rows", "Columns", "Size"))
    if others := checked.inventory.others:
        console.print(f"not read by name: {', '.join(f'{count} {kind}' for kind, count in others.items())}")


def _films(films: Films, console: Console) -> None:
    rows = [("listed", number(films.listed), ""), ("usable by their headers", number(films.kept), "")]
    rows += [(f"refused: {why}", number(len(of)), listed(of)) for why, of in films.refused.items()]
    rows.append(("looked at pixel by pixel", number(films.decoded), ""))
    rows += [(f"cannot be decoded: {why}", number(len(of)), listed(of)) for why, of in films.broken.items()]
    _table(console, "Films", rows, ("", "Films", "Rows, such as"))


def _implausible(checked: Checked, console: Console) -> None:
    worst = sorted(checked.implausible, key=lambda each: -each.count)
    rows = [
        (
            "\n".join((*each.field.split(": "), each.file)),
            limits(each.low, each.high, each.unit),
            *(number(count) for count in (each.below, each.above)),
            listed(each.rows),
        )
        for each in worst[:FIRST]
    ]
    heads = ("Field", "Range", "Below", "Above", "Rows, such as")
    _table(console, "Values outside their plausible range: they count as missing", rows, heads, len(worst) - FIRST)


def _cohort(cohort: Description, task: Task, console: Console) -> None:
    rows = [("in the records", "", number(cohort.candidates_of), "", number(cohort.candidates))]
    rows += [
        (
            f"less: {step.rule}",
            number(-step.patients),
            number(step.patients_left),
            number(-step.candidates),
            number(step.candidates_left),
        )
        for step in cohort.steps
    ]
    rows.append((f"rows of the cohort: one {task.unit} each", "", number(cohort.people), "", number(cohort.rows)))
    _table(console, "Who is left", rows, ("", "", "Patients", "", several(task.candidate)))
    labels = sorted(cohort.labels, key=lambda each: -each.yes)
    answers = [
        (
            each.name,
            number(each.yes),
            number(each.no),
            number(each.unknown),
            percent(each.prevalence),
            _bar(each.prevalence),
        )
        for each in labels
    ]
    _table(console, "Answers", answers, ("Label", "Yes", "No", "Unknown", "Prevalence", ""))
    present = {name: rows / cohort.rows for name, rows in cohort.modalities.items()}
    _table(console, "Rows that have it", _shares(present), ("Modality", "Share", ""))
    lacking = {each.variable: each.shares[0] for each in cohort.missing if each.shares[0]}
    _table(console, "Missing most", _shares(lacking), ("Variable", "Share", ""), len(lacking) - FIRST)
    strongest = [
        (each.feature, each.label, signed(each.correlation), signed(each.auroc), "leak?" if each.suspicious else "")
        for each in cohort.associations[:FIRST]
        if each.strength
    ]
    heads = ("Feature", "Label", "Correlation", "AUROC", "")
    _table(console, "What tells most alone", strongest, heads)


def _shares(shares: Mapping[str, float]) -> list[tuple[str, str, str]]:
    return [(name, percent(share), _bar(share)) for name, share in list(shares.items())[:FIRST]]


def _bar(share: float) -> str:
    full = round(_BAR * share) if share == share else 0
    return "█" * full + "░" * (_BAR - full)
