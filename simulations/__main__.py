"""The researcher's command line: ``fedward-simulate``."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from common import command_line
from server.tracking_command import track

if TYPE_CHECKING:
    from common.plan import Plan

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Simulate many hospitals on one machine, beside each one alone and all of them pooled.",
)


class Engine(StrEnum):
    """Where the sites run: in this process, or on Flower's Ray engine."""

    IN_PROCESS = "in-process"
    RAY = "ray"


Data = Annotated[
    list[str] | None,
    typer.Option(help="Data folder, or SITE=FOLDER for each site; without it the plan's synthetic hospitals."),
]


@app.command()
def run(
    plan: Annotated[str, typer.Argument(help="A plan's TOML file, or the name of a shipped plan: see 'list'.")],
    data: Data = None,
    sites: Annotated[str | None, typer.Option(help="Only these sites, separated by commas.")] = None,
    engine: Annotated[
        Engine | None, typer.Option(help="ray is for many cores or a Ray cluster.", show_default="in-process")
    ] = None,
    to: Annotated[Path, typer.Option(help="Folder for runs; each run makes its own in it.")] = Path("runs"),
    weights: Annotated[list[str] | None, typer.Option(help=command_line.WEIGHTS)] = None,
    resume: Annotated[str | None, typer.Option(help="Go on with this run; the plan must be the same.")] = None,
) -> None:
    """Run a study: every site, every baseline, a report with pictures."""
    from common.plan import read
    from server.following import announce, results_table
    from server.settings import check_run_name
    from simulations.running import prepare, reopen, require_same_study, simulate
    from simulations.sites import read_folders

    console = command_line.console()
    study = read(plan)
    if resume is not None:
        if data or sites or engine or weights:
            without = "--data, --sites, --engine and --weights"
            raise typer.BadParameter(f"--resume goes on as the run began: leave out {without}")
        simulation = reopen(to / check_run_name(resume))
        require_same_study(simulation, study)
    else:
        if sites:
            study = study.inviting(tuple(sites.split(",")))
        folder = to / f"{study.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
        files = command_line.files_by_name(weights or ())
        where = read_folders(data or ())
        simulation = prepare(study, folder, data=where, engine=(engine or Engine.IN_PROCESS).value, weights=files)
    announce(simulation.folder.name, simulation.plan, console)
    with _progress(simulation.folder / "progress.jsonl", console):
        found = simulate(simulation)
    console.print(results_table(found))
    console.print(f"report: {simulation.folder / 'report.html'}")


@app.command()
def encoders(
    columns: Annotated[int, typer.Option(min=1, help="Columns of tables, variables of series, codes of visits.")] = 20,
    steps: Annotated[int, typer.Option(min=1, help="Steps of series and visits.")] = 48,
    size: Annotated[int, typer.Option(min=32, help="Side of films in pixels; of volumes a quarter of it.")] = 224,
    width: Annotated[int, typer.Option(help="Of the embedding.")] = 64,
) -> None:
    """List the encoders: what they take and give, their parameters and operations, and which are valid under DP."""
    from common.encoders.base import Settings
    from simulations.described_encoders import all_of, table

    command_line.console().print(table(all_of(columns, steps, size, Settings(width))))


@app.command()
def curve(
    plan: Annotated[str, typer.Argument(help="A plan with a stage that has 'privacy': a TOML file or a shipped name.")],
    epsilons: Annotated[
        str, typer.Option(help="Epsilons of all such stages, separated by commas; inf is without noise.")
    ] = "0.5,1,3,8,inf",
    data: Data = None,
    weights: Annotated[list[str] | None, typer.Option(help=command_line.WEIGHTS)] = None,
    to: Annotated[Path, typer.Option(help="Folder for the runs and the page.")] = Path("runs"),
) -> None:
    """Run a plan at several epsilons, seed by seed, and draw what privacy costs: AUROC against epsilon on one page."""
    from common.plan import read
    from server.results import Results
    from simulations import privacy_curve, privacy_curve_page
    from simulations.running import prepare, simulate
    from simulations.sites import read_folders

    console, where = command_line.console(), read_folders(data or ())
    study, wanted = read(plan), privacy_curve.read_epsilons(epsilons)
    files = command_line.files_by_name(weights or ())
    name = f"{study.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"

    def run_one(varied: Plan, epsilon: float, seed: int) -> Results:
        told = f"{epsilon:g}".replace(".", "-").replace("+", "")
        folder = to / f"{name}-epsilon-{told}-seed-{seed}"
        simulation = prepare(varied, folder, data=where, engine=Engine.IN_PROCESS.value, weights=files)
        console.print(f"run {simulation.folder.name}: epsilon = {epsilon:g}")
        with _progress(simulation.folder / "progress.jsonl", console):
            return simulate(simulation, pooled=False)

    page = to / f"{name}-curve.html"
    shown = privacy_curve_page.write(study, privacy_curve.measure(study, wanted, run_one), page)
    table = Table(title="AUROC over all held-out patients")
    for heading in ("epsilon", *(one.name for one in shown)):
        table.add_column(heading, justify="right")
    for epsilon in wanted:
        figures = (privacy_curve_page.overall(one.at[epsilon]) for one in shown)
        table.add_row(privacy_curve_page.written(epsilon), *figures)
    console.print(table)
    console.print(f"page: {page}")


@app.command("list")
def list_parts() -> None:
    """Show the plans, tasks, data sources, strategies, encoders, resamplers, benchmarks and studies there are."""
    from client.datasets import base as datasets
    from client.resampling import base as resampling
    from common import plan as plans
    from common.encoders import base as encoders
    from common.tasks import base as tasks
    from simulations.benchmarks import base as benchmarks
    from simulations.studies import base as studies
    from strategies import base as strategies

    table = Table(show_header=False)
    for kind, names in {
        "plans": plans.shipped(),
        "tasks": tasks.names(),
        "data sources": datasets.names(),
        "strategies for trees": strategies.names(trees=True),
        "strategies for weights": strategies.names(trees=False),
        "encoders": encoders.names(),
        "resampling": resampling.names(),
        "benchmarks": benchmarks.names(),
        "studies": studies.names(),
    }.items():
        table.add_row(kind, ", ".join(names))
    Console().print(table)


class Layout(StrEnum):
    """Whose file layout synthetic hospitals are written in: the name of the data source that reads them."""

    EICU = "eicu"
    MIMIC_IV = "mimic_iv"
    MIMIC_CXR = "mimic_cxr"


@app.command()
def synthesize(
    to: Annotated[
        Path, typer.Option(help="Folder to write into; MIMIC's layouts make a folder in it for each hospital.")
    ],
    layout: Annotated[Layout, typer.Option(help="mimic_cxr is mimic_iv with drawn chest films.")] = Layout.EICU,
    hospitals: Annotated[int, typer.Option(min=1, max=1000, help="How many hospitals.")] = 5,
    stays: Annotated[int, typer.Option(min=10, help="Stays, or admissions, a hospital.")] = 1200,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="The same seed gives the same files.")] = 2026,
    shift: Annotated[
        bool, typer.Option("--shift", help="Give every second hospital another scanner and laboratory (MIMIC only).")
    ] = False,
) -> None:
    """Write SYNTHETIC hospitals in the file layout of eICU or MIMIC. No real patient is in them."""
    from common.plan_tables import Synthetic
    from simulations.synthetic.layouts import generate

    generate(layout.value, Synthetic(hospitals=hospitals, stays_per_hospital=stays, seed=seed, shift=shift), to)
    command_line.console().print(f"{hospitals} synthetic hospitals with {stays} stays each in {to}")


@app.command()
def bench(
    name: Annotated[str, typer.Argument(help="Which benchmark: see 'list'.")],
) -> None:
    """Measure speed on this machine, as ratios within one run."""
    from simulations.benchmarks import base as benchmarks

    benchmarks.find(name).run(Console())


@app.command()
def study(
    name: Annotated[str, typer.Argument(help="Which study: see 'list'.")],
    to: Annotated[Path, typer.Option(file_okay=False, help="Folder for the study's page.")] = Path("runs"),
) -> None:
    """Show on invented data why something must be done as it is: a table, and a page with a picture."""
    from simulations.studies import base as studies

    found = studies.find(name)
    to.mkdir(parents=True, exist_ok=True)
    found.run(command_line.console(), to)


app.command()(track)


@contextmanager
def _progress(file: Path, console: Console) -> Iterator[None]:
    """Show a bar while the run goes on in this thread; another thread looks at the progress file."""
    from server.following import progress_bar

    done = threading.Event()
    with progress_bar(file, console) as look:

        def watch() -> None:
            while not done.wait(0.1):
                look()

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()


def main() -> None:
    """Entry point."""
    command_line.run(app)


if __name__ == "__main__":
    main()
