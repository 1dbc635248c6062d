"""One run from admission to report: the plan's stages in order, for every repetition."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from flwr.serverapp import Grid
from pydantic import BaseModel, ConfigDict

from common.audit.event import Event, Kind
from common.audit.log import AuditLog
from common.exceptions import FedwardError
from common.serialization import canonical, digest, write_atomic
from server import privacy, releasing, training
from server.admission import Admitted, admit
from server.averaging import macro
from server.blobs import Blobs
from server.checkpoints import Checkpoint, alone
from server.progress import Progress, exchanges
from server.report.page import write as write_report
from server.results import Results, SiteSummary
from server.settings import RunRequest, ServerSettings
from server.stages import evaluate, statistics
from server.stages.study import Study
from server.tracking import Tracking
from strategies.base import require
from strategies.rounds.courier import Courier, Network
from strategies.rounds.membership import Members
from strategies.rounds.separate_pulls import SeparatePulls

PACKAGES = ("fedward", "flwr", "numpy")
LONGEST_REASON = 2000
"""Characters of an error that the audit log keeps; naming a thousand sites takes more than an entry holds."""


class Beginning(BaseModel):
    """What is fixed when a run first starts, whatever happens later."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    started: str
    sites: tuple[str, ...]
    synthetic: tuple[str, ...]


def execute(
    grid: Grid,
    request: RunRequest,
    settings: ServerSettings,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Results:
    """Run a plan to its end, or go on with a run that was interrupted.

    Writes into the run's folder: ``plan.json``, ``progress.jsonl``, ``metrics.jsonl``, ``checkpoint.sqlite``, model
    files, ``metrics.json``, ``report.html``; and ``failure.json`` when it ends in an error.
    """
    for stage in request.plan.federated:
        require(stage)
    folder = settings.runs / request.run
    for needed in (settings.state, folder):
        needed.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Two runs at a time would see each other's audit heads out of order. Whoever must wait leaves the folder as it is.
    busy = "another run is under way at this coordinator; wait for its end"
    with Checkpoint(folder, request.plan.digest) as checkpoint, alone(settings.state, busy):
        (folder / "failure.json").unlink(missing_ok=True)
        try:
            with AuditLog(settings.audit, "coordinator") as log:
                return _logged(grid, request, folder, checkpoint, log, now)
        except Exception as error:
            code = error.code if isinstance(error, FedwardError) else "InternalError"
            write_atomic(folder / "failure.json", canonical({"code": code, "message": str(error)}))
            raise


def _logged(
    grid: Grid,
    request: RunRequest,
    folder: Path,
    checkpoint: Checkpoint,
    log: AuditLog,
    now: Callable[[], datetime],
) -> Results:
    write_atomic(folder / "plan.json", request.plan.to_json().encode())
    kind = Kind.RUN_RESUMED if checkpoint.resumed else Kind.RUN_STARTED
    log.append(Event(kind, {"run": request.run, "plan": request.plan.digest}))
    # On a network a half-sent reply must hold up nobody else.
    network = SeparatePulls(grid) if request.engine == "deployment" else nullcontext(grid)
    try:
        with network as connection:
            return _run(connection, request, folder, checkpoint, log, now)
    except FedwardError as error:
        reason = error.public[:LONGEST_REASON]
        log.append(Event(Kind.REFUSAL, {"run": request.run, "code": error.code, "reason": reason}))
        raise


def _run(
    network: Network,
    request: RunRequest,
    folder: Path,
    checkpoint: Checkpoint,
    log: AuditLog,
    now: Callable[[], datetime],
) -> Results:
    plan = request.plan
    spent = privacy.account(plan)  # first of all: for a plan that no noise is enough for nobody spends anything
    progress = Progress(folder / "progress.jsonl", exchanges(plan))
    courier = Courier(network, log, request.run)
    admitted = admit(courier, plan, registered=request.engine != "ray")
    progress.step("admission", 1)
    beginning = checkpoint.recall("beginning", Beginning)
    if beginning is None:
        beginning = Beginning(started=_stamp(now()), sites=tuple(admitted.nodes), synthetic=admitted.synthetic)
        checkpoint.keep("beginning", beginning)
    members = Members(courier, beginning.sites, admitted.nodes, plan.sites)
    blobs = Blobs(folder / "weights")
    tracking = Tracking(folder / "metrics.jsonl")
    tracking.begin()
    seen = admitted.feature_names, admitted.modalities, admitted.columns
    study = Study(plan, members, checkpoint, progress, *seen, blobs, tracking)
    counts = statistics.run(study)
    trained, histories = training.train(study, counts)
    evaluations = training.judge(study, trained)
    released = releasing.release(study, folder, log, request.run, trained)
    found = evaluate.candidates(evaluations, plan.label_names, plan.models, plan.evaluation.bootstraps)
    tracking.figures(found)
    results = Results(
        run=request.run,
        plan=plan.to_json(),
        plan_digest=plan.digest,
        engine=request.engine,
        synthetic=_synthetic(beginning, admitted),
        started=beginning.started,
        finished=_stamp(now()),
        versions={"python": platform.python_version(), **{p: version(p) for p in PACKAGES}, **admitted.versions},
        base_scores=counts.base_scores,
        minimum_cell=counts.minimum_cell,
        sites=_summaries(beginning.sites, counts.sites),
        description=counts.description,
        stages=tuple(histories),
        exchanges=tuple(study.exchanges),
        candidates=found,
        macro=macro(found),
        models=released,
        privacy=spent,
        schema_digest=admitted.schema_digest,
        decisions=_decisions(log, request.run),
    )
    results.write(folder / "metrics.json")
    write_report(results, folder)
    metrics = digest((folder / "metrics.json").read_bytes())
    log.append(Event(Kind.RUN_FINISHED, {"run": request.run, "metrics": metrics}))
    return results


def _synthetic(beginning: Beginning, admitted: Admitted) -> tuple[str, ...]:
    """Sites of the run with invented patients; after a restart those that are away count as they began."""
    invented = {*admitted.synthetic, *(set(beginning.synthetic) - set(admitted.nodes))}
    return tuple(site for site in beginning.sites if site in invented)


def _summaries(members: Sequence[str], counted: Sequence[SiteSummary]) -> tuple[SiteSummary, ...]:
    """Give every member a row, also one that missed the exchange of counts."""
    unknown = SiteSummary(name="", counted=False, patients=None, stays=None, answers={}, excluded={})
    known = {summary.name: summary for summary in counted}
    return tuple(known.get(name, unknown.model_copy(update={"name": name})) for name in members)


def _decisions(log: AuditLog, run: str) -> tuple[str, ...]:
    """Every time the run went on without a site, before and after any restart."""
    found = (entry.event for entry in log.entries() if entry.event.kind is Kind.DECISION)
    return tuple(str(event.details["decision"]) for event in found if event.details["run"] == run)


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
