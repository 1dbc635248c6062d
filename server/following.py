"""Show a run while it goes on, and how it ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from common.exceptions import DeploymentError, PlanError
from common.messages import LOCAL
from common.plan import Plan, from_json
from common.serialization import write_atomic
from server import results
from server.launching import connect
from server.progress import exchanges, latest
from server.results import COARSE, OVERALL, Candidate, Results
from server.settings import RunRequest, ServerSettings
from server.submission import submit
from strategies.base import require, require_sites

ROOT = Path(__file__).parents[1]
GRACE_SECONDS = 120.0
MOST_COLUMNS = 6
"""Sites that a table on the terminal has a column for."""
_DOUBT = "≈"
FLOWER_PREFIX = "ServerApp failed with exception: "


def follow(settings: ServerSettings, server: Path, request: RunRequest, console: Console) -> None:
    """Submit a run, show its progress, print its results.

    Raises
    ------
    PlanError
        The plan invites nobody by name or too few, or asks for an unknown strategy, option or encoder; nothing is sent.
    DeploymentError
        No coordinator was launched for ``server``, and nothing is written; or the run failed,
        and the message is the coordinator's own reason.
    """
    _require_ready(request.plan)
    connect(server).close()
    folder = settings.runs / request.run
    if not (folder / "plan.json").exists():  # a run that is killed before it begins can be resumed too
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomic(folder / "plan.json", request.plan.to_json().encode())
    announce(request.run, request.plan, console)
    with progress_bar(folder / "progress.jsonl", console) as waiting:
        try:
            ended = submit(ROOT, request.to_config(), server, deadline_seconds=_longest(request), waiting=waiting)
        except KeyboardInterrupt:
            console.print(
                f"no longer waiting; run {request.run} goes on at the coordinator: its progress is in "
                f"{folder / 'progress.jsonl'}, its report will be {folder / 'report.html'}; should it be interrupted, "
                f"go on with: fedward-server resume {request.run} --server {server}"
            )
            raise
    if not ended.succeeded:
        reason = ended.details.removeprefix(FLOWER_PREFIX) or "the coordinator was interrupted; resume the run"
        raise DeploymentError(f"run {request.run} {ended.status}: {reason}")
    console.print(results_table(results.read(folder / "metrics.json")))
    console.print(f"report: {folder / 'report.html'}")


def announce(run: str, plan: Plan, console: Console) -> None:
    """Say which study begins, and which figures its plan does without."""
    console.print(f"run {run}: {plan.title}")
    if plan.evaluation.share == "summary":
        console.print('the plan evaluates with share = "summary": no figures over all sites, only those of each site')


@contextmanager
def progress_bar(file: Path, console: Console) -> Iterator[Callable[[], None]]:
    """Show a bar; what it yields is to be called now and then, and looks at the run's progress file."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("waiting for sites", total=None)

        def look() -> None:
            step = latest(file)
            if step:
                bar.update(task, description=step.stage, completed=step.done, total=step.total)

        yield look
        look()


def results_table(found: Results) -> Table:
    """AUROC at every site, averaged over seeds; "alone" is a site's own model on its own patients."""
    label = ", SYNTHETIC DATA" if found.only_synthetic else ", SOME SITES SYNTHETIC" if found.synthetic else ""
    title = f"AUROC on held-out patients{label}"
    plan = from_json(found.plan)
    if len(plan.label_names) > 1:
        table = _by_label(found, plan, title)
    else:
        table = _by_model(found, title, plan.families) if plan.families else _by_site(found, title)
    if any(_DOUBT in str(cell) for column in table.columns for cell in column.cells):
        table.caption = f"{_DOUBT} told from counts per bin of risk, too coarse for it"
    return table


def _by_label(found: Results, plan: Plan, title: str) -> Table:
    """Lay out several labels: a row a label, a column a model of all sites, and the means over the labels."""
    together = {one.name: one for one in found.candidates if one.kind == "federated"}
    table = Table(title=f"{title}, all sites together")
    for heading in ("label", *together):
        table.add_column(Text(heading), justify="left" if heading == "label" else "right")
    for label in plan.label_names:
        own = {one.name: one for one in found.candidates if one.label == label}
        table.add_row(Text(label), *(_mean_auroc(own.get(name), OVERALL) for name in together))
    table.add_section()
    means = (_mean_over_labels([one for one in found.candidates if one.name == name]) for name in together)
    table.add_row("mean", *means)
    return table


def _mean_over_labels(of_labels: Sequence[Candidate]) -> str:
    """Average a model's figures over its labels; say so where some have none."""
    known = [value for one in of_labels if (value := _over_seeds(one, OVERALL)) is not None]
    if not known:
        return "withheld"
    text = f"{_doubt(of_labels, OVERALL)}{fmean(known):.3f}"
    return text + (f" (over {len(known)})" if len(known) < len(of_labels) else "")


def _by_site(found: Results, title: str) -> Table:
    """Lay out trees: a row a site, a column a model."""
    table = Table(title=title)
    table.add_column("site")
    together = [candidate for candidate in found.candidates if candidate.kind != "local"]
    local = {candidate.name: candidate for candidate in found.candidates if candidate.kind == "local"}
    for heading in ("alone" if local else None, *(candidate.name for candidate in together)):
        if heading:
            table.add_column(Text(heading), justify="right")  # no markup: references are named by sites
    for site in (*(site.name for site in found.sites), OVERALL):
        own = [_mean_auroc(local.get(f"local/{site}"), site)] if local else []
        table.add_row(Text(site), *own, *(_mean_auroc(candidate, site) for candidate in together))
    return table


def _by_model(found: Results, title: str, networks: Sequence[str]) -> Table:
    """Lay out networks: a row a way to train one, a group a network, a column a site where these are few."""
    table = Table(title=title)
    sites = [site.name for site in found.sites] if len(found.sites) <= MOST_COLUMNS else []
    for heading in ("model", OVERALL, *sites):
        table.add_column(Text(heading), justify="left" if heading == "model" else "right")
    for network in ("", *networks):
        members = [one for one in found.candidates if _network(one, networks) == network]
        local = {one.name.rpartition(LOCAL)[2]: one for one in members if one.kind == "local"}
        for one in members:
            if one.kind != "local":
                table.add_row(Text(one.name), *(_mean_auroc(one, site) for site in (OVERALL, *sites)))
        if local and sites:
            alone = (_mean_auroc(local.get(site), site) for site in sites)
            table.add_row(Text(f"{network} alone".lstrip()), "", *alone)
        table.add_section()
    return table


def _network(candidate: Candidate, networks: Sequence[str]) -> str:
    """Return which network a candidate is a variant of; empty for trees and references."""
    first = candidate.name.partition(" ")[0]
    return first if first in networks else ""


def _mean_auroc(candidate: Candidate | None, site: str) -> str:
    if candidate is None:
        return ""
    value = _over_seeds(candidate, site)
    return "withheld" if value is None else f"{_doubt([candidate], site)}{value:.3f}"


def _doubt(candidates: Sequence[Candidate], site: str) -> str:
    """Mark what is told from counts that are too coarse for it."""
    scores = (score for one in candidates for score in one.scores if score.site == site)
    return _DOUBT if any(score.binning_error > COARSE for score in scores) else ""


def _over_seeds(candidate: Candidate, site: str) -> float | None:
    """Average over seeds, as the report does: None when the figure of any is withheld, or there is none."""
    found = [score.auroc for score in candidate.scores if score.site == site]
    known = [auroc.value for auroc in found if auroc is not None]
    return fmean(known) if known and len(known) == len(found) else None


def _longest(request: RunRequest) -> float:
    """No exchange outlasts its deadline, so the run cannot outlast their sum (twice, for sites that catch up)."""
    return 2 * exchanges(request.plan) * request.plan.sites.deadline_seconds + GRACE_SECONDS


def _require_ready(plan: Plan) -> None:
    if not plan.sites.names:
        raise PlanError(
            f"plan {plan.name}, key 'sites.names': a deployment invites sites by name; list them, or use --sites"
        )
    for stage in plan.federated:
        require(stage)
        require_sites(stage, len(plan.sites.names))
