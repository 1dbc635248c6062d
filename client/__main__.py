"""The site's command line: ``fedward-client``."""

from __future__ import annotations

from getpass import getpass
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from client.budget.commands import app as budget
from client.key.commands import app as key
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
app.add_typer(budget, name="budget")
app.add_typer(key, name="key")


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
    folder: Annotated[Path | None, typer.Argument(help=f"{KIT} Leave it out to check a folder of data.")] = None,
    plan: Annotated[str | None, typer.Option(help="The plan to check for: a TOML file or a shipped name.")] = None,
    data: Annotated[Path | None, typer.Option(help="Without a kit: the folder of data.")] = None,
    source: Annotated[str | None, typer.Option(help="Without a kit: what the data is, e.g. eicu.")] = None,
    task: Annotated[str | None, typer.Option(help="Without a plan: what is asked of it, e.g. crd8.")] = None,
    label: Annotated[str | None, typer.Option(help="One label of the task; all unless named.")] = None,
    by: Annotated[str, typer.Option(help="Select rows by this, e.g. unit, region, patient.")] = "all",
    values: Annotated[list[str] | None, typer.Option(help="Which, e.g. medical; may be repeated.")] = None,
    modality: Annotated[
        list[str] | None,
        typer.Option(
            help="Read only this: table, series, codes, visits, medications, notes, images or volumes; may be repeated."
        ),
    ] = None,
    html: Annotated[Path | None, typer.Option(dir_okay=False, help="Write the whole report there, one page.")] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Keep what takes long to read there; large event tables need it.")
    ] = None,
) -> None:
    """Read data as a plan or task would, tell what it looks like, and whether it can be used. Nothing leaves.

    For a kit: check KIT --plan PLAN.
    Before there is one: check --data FOLDER --source SOURCE --task TASK.
    Exit code 0 says usable, 1 not: the errors are the last lines.
    """
    from datetime import UTC, datetime

    from client.check import asking, page, terminal
    from client.check.examining import examine
    from common.serialization import write_atomic

    without_kit = {"--data": data, "--source": source, "--task": task, "--label": label, "--values": values}
    if folder and (plan is None or any(without_kit.values()) or modality or cache or by != "all"):
        raise typer.BadParameter("a kit is checked for a --plan; its site.toml says all else")
    if folder and plan:
        question = asking.of_kit(folder, plan)
    elif data and source:
        question = asking.of_folder(
            data, source, task, label=label, by=by, values=values or (), modalities=modality or (), plan=plan
        )
    else:
        raise typer.BadParameter("name a kit and a --plan, or --data, --source and --task")
    if html and not html.absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {html.parent} for the page")
    console = command_line.console()
    kept_by = asking.cache_of_kit(folder, getpass, console) if folder else asking.cache_of_folder(cache)
    with kept_by as kept, terminal.watched():
        checked = examine(question, kept)
    terminal.show(checked, console)
    if html:
        write_atomic(html, page.render(checked, datetime.now(UTC).date()).encode())
        console.print(f"the whole report: {html}")
    if not checked.verdict.usable:
        raise typer.Exit(1)
    if folder and question.plan:
        console.print(f"{question.site} can take part in {question.plan.name}", style="green")


@app.command()
def export(
    folder: KitFolder,
    to: Annotated[Path, typer.Option(file_okay=False, help="Empty folder for the bundles, one a patient.")],
    notes: Annotated[bool, typer.Option(help="Write free text too, as it stands.")] = False,
) -> None:
    """Write this site's records as FHIR R4: keyed names, shifted dates. It stays here, but audited."""
    from client.exporting.site import export_site

    written = export_site(folder, to, notes=notes, ask=getpass)
    table = Table(title=f"FHIR R4 in {to}", show_header=False)
    for name, count in {**written.resources, **{f"left out: {why}": n for why, n in written.left_out.items()}}.items():
        table.add_row(name, f"{count:,}")
    command_line.console().print(table)


@app.command()
def weights(
    encoder: Annotated[str, typer.Argument(help="Which encoder they are for, e.g. densenet121.")],
    file: Annotated[Path, typer.Argument(help="A state dict, in safetensors' or torch's format.")],
) -> None:
    """Tell the digest by which a plan names pretrained weights; the table 'weights' of site.toml names the file."""
    from common.encoders.weights import read
    from common.networks.pretrained import digest_as

    command_line.console().print(digest_as(encoder, read(file)), soft_wrap=True, highlight=False)


@app.command()
def predict(
    run: Annotated[Path, typer.Argument(file_okay=False, help="A finished run's folder, with metrics.json in it.")],
    to: Annotated[Path, typer.Option(dir_okay=False, help="New file for the predictions, .csv or .parquet.")],
    kit: Annotated[Path | None, typer.Option(file_okay=False, help=f"{KIT} Audited there.")] = None,
    data: Annotated[Path | None, typer.Option(help="Without a kit: the folder of data.")] = None,
    source: Annotated[
        str | None, typer.Option(help="Without a kit: what the data is, e.g. eicu.", show_default="as in the plan")
    ] = None,
    by: Annotated[str, typer.Option(help="Without a kit: select rows by this, e.g. unit, region.")] = "all",
    values: Annotated[list[str] | None, typer.Option(help="Which, e.g. medical; may be repeated.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Without a kit: keep what takes long to read there.")] = None,
    weights: Annotated[list[str] | None, typer.Option(help=f"Without a kit: a{command_line.WEIGHTS[1:]}")] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help='Score with this model, e.g. "local/hospital-1"; may be repeated.',
            show_default="the federated models",
        ),
    ] = None,
    explain: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="New file for what each past code adds to the logits of retain networks."),
    ] = None,
) -> None:
    """Score local patients with the models that a run has released. Nothing leaves.

    From a kit: predict RUN --kit KIT --to FILE.
    From a folder: predict RUN --data FOLDER --to FILE.

    The task and its columns are the plan's; other columns are refused.
    A model with several seeds or folds scores with the mean of them.
    Patients that it was trained on are scored, too.
    The file, for its owner only, has a line a row and model: patient, hours
    since the stay began, a probability a label, digests of model and plan.
    """
    from client.check import asking
    from client.datasets.base import ALL, Select
    from client.predicting.predicting import of_folder, of_kit

    if (kit is None) == (data is None):
        raise typer.BadParameter("name a --kit or a folder of --data, one of both")
    if kit is not None:
        if source or values or cache or weights or by != "all":
            without = "--source, --by, --values, --cache, --weights"
            raise typer.BadParameter(f"a kit's site.toml says which data and weights: leave out {without}")
        done = of_kit(run, kit, to, model or (), getpass, explain)
    elif data is not None:
        select = ALL if by == "all" and not values else Select(by, tuple(values or ()))
        with asking.cache_of_folder(cache) as kept:
            files = command_line.files_by_name(weights or ())
            done = of_folder(run, data, source, select, kept, to, model or (), files, explain)
    console = command_line.console()
    console.print(f"{done.rows:,} rows of {done.people:,} patients scored by {', '.join(done.models)}: {to}")
    if explain:
        console.print(f"what each past code adds to the logits: {explain}")


@app.command()
def start(folder: KitFolder) -> None:
    """Join the coordinator and answer its plans within this site's policy, until stopped."""
    from client.launching import start as run_supernode

    console = command_line.console()
    console.print(f"joining from {folder}; stop with Ctrl-C")
    run_supernode(folder, getpass, lambda text: console.print(text, style="yellow"))


def main() -> None:
    """Entry point."""
    command_line.run(app)


if __name__ == "__main__":
    main()
