"""The site's command line: ``fedward-client``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from common import command_line

KIT = "The site's folder: the kit received from the coordinator, with site.toml in it."
KitFolder = Annotated[Path, typer.Argument(help=KIT)]

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Run a hospital's side of a federated study: fetch open data, check yours, take part, see what left.",
)


def _audit_log(folder: Path) -> tuple[Path, str]:
    from client.settings import read

    settings = read(folder / "site.toml")
    return folder / settings.state / "audit.sqlite", settings.name


app.add_typer(command_line.audit_app(_audit_log), name="audit")


@app.command()
def fetch(
    source: Annotated[str, typer.Argument(help="Which open data set, e.g. eicu-demo.")],
    to: Annotated[Path, typer.Option(help="Folder to put it into.")],
    complete: Annotated[bool, typer.Option(help="Every file published, not only those the project reads.")] = False,
    mirror: Annotated[str | None, typer.Option(help="Address of a copy, instead of the publisher's.")] = None,
) -> None:
    """Download an open data set from its publisher; interrupted downloads go on where they stopped."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    from client.fetching import fetch as download
    from client.fetching import find

    found = find(source)
    with Progress(TextColumn("{task.description}"), BarColumn(), DownloadColumn()) as bars:
        tasks = {}

        def progress(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name)
            bars.update(tasks[name], completed=done, total=total or None)

        files = download(found, to, base_url=mirror, complete=complete, progress=progress)
    command_line.console().print(f"{len(files)} files in {to}, each checked against the publisher's SHA-256")


@app.command()
def check(
    folder: KitFolder,
    plan: Annotated[str, typer.Option(help="The plan to check for: a TOML file or a shipped plan's name.")],
) -> None:
    """Read this site's data as a plan would and say whether the site can take part. Nothing leaves."""
    import numpy as np

    from client import policy
    from client.datasets import base as datasets
    from client.datasets.base import Select
    from client.settings import read
    from client.training.folds import divide
    from common.plan import read as read_plan
    from common.tasks.base import find

    study, settings = read_plan(plan), read(folder / "site.toml")
    data = settings.data
    task, select = find(study.task), Select(data.by, data.values)
    cohort = datasets.find(data.source).load(folder / data.folder, task, select)
    patients = len(np.unique(cohort.patients))
    console = command_line.console()
    table = Table(title=f"{settings.name}: {task.title}", show_header=False)
    for label, value in {
        "patients": patients,
        "stays": len(cohort.labels),
        task.label: int(cohort.labels.sum()),
        "features": len(cohort.feature_names),
        "values missing": f"{np.isnan(cohort.features).mean():.0%}",
        **{f"left out: {rule}": count for rule, count in cohort.excluded.items()},
    }.items():
        table.add_row(label, str(value))
    console.print(table)
    policy.permit_task(settings.policy, study)
    policy.permit_cohort(settings.policy, patients)
    for repetition in study.repetitions:
        divide(cohort, study, settings.name, repetition.seed, repetition.fold)
    console.print(f"{settings.name} can take part in {study.name}", style="green")
    if study.evaluation.share == "summary":
        console.print('the plan evaluates with share = "summary": no figures over all sites, only those of each site')
    elif policy.shared(settings.policy, study.evaluation.share) == "summary":
        console.print('this site\'s policy has share = "summary": its patients do not count in figures over all sites')


@app.command()
def start(folder: KitFolder) -> None:
    """Join the coordinator and answer its plans within this site's policy, until stopped."""
    from client.launching import start as run_supernode

    command_line.console().print(f"joining from {folder}; stop with Ctrl-C")
    run_supernode(folder)


def main() -> None:
    """Entry point."""
    command_line.run(app)


if __name__ == "__main__":
    main()
