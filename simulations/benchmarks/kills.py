"""Twenty kills at random points of a real deployment over TLS.

Does the study survive them?

Each time a coordinator or a site is killed with SIGKILL, all its processes at once, restarted,
and the run resumed if it failed. In the end every model must be the unbroken run's to the byte,
every audit log must verify against the heads the others hold, and nothing may outlast its deadline.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from common import plan as plans
from common import seeding
from common.audit.event import Kind
from common.audit.log import AuditLog
from common.audit.verify import verify_file
from common.audit.witness import export_heads, load_heads
from common.exceptions import DeploymentError
from simulations.local_deployment import COORDINATOR, LocalDeployment
from simulations.running import prepare, simulate
from simulations.sites import partition

KILLS = 20
LONGEST_RUN_SECONDS = 600.0
MOST_RESUMES = 4
DEADLINE_SECONDS = 20
GRACE_SECONDS = 5.0
"""For what follows a deadline: reading the replies that came, writing the log."""
STOPPED = "so it was stopped"
"""What submit says of a run that did not end by itself."""
STUDY = f"""
name = "kills"
title = "A short study to be killed"
task = "in_hospital_mortality"
seeds = [7]
resampling = "none"

[data]
source = "eicu"
synthetic = {{ hospitals = 3, stays_per_hospital = 300, seed = 2026 }}

[sites]
partition = "hospital"
names = ["hospital-1", "hospital-2", "hospital-3"]
quorum = 3
deadline_seconds = {DEADLINE_SECONDS}
on_missing = "fail"

[split]
folds = 5

[trees]
learning_rate = 0.3
max_depth = 3

[[stages]]
kind = "statistics"

[[stages]]
kind = "boosting"
strategy = "fedxgb_bagging"
rounds = 3

[[stages]]
kind = "boosting"
strategy = "fedxgb_cyclic"
rounds = 3

[[stages]]
kind = "local"
trees = 5

[[stages]]
kind = "evaluate"
share = "curves"
bootstraps = 100
"""


def run(console: Console, kills: int = KILLS, seed: int = 2026) -> Mapping[str, object]:
    """Kill, restart, resume, compare; print a line a kill."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        study = folder / "study.toml"
        study.write_text(STUDY, encoding="utf-8")
        unbroken = prepare(plans.read(study), folder / "unbroken", data=None, engine="in-process")
        simulate(unbroken)
        models = {file.name: file.read_bytes() for file in unbroken.folder.glob("*-seed*.json")}
        data = unbroken.folder / "hospitals"
        good, resumed, longest = 0, 0, 0.0
        with LocalDeployment(folder, unbroken.plan, data, partition(unbroken.plan, data)) as deployment:
            baseline = _whole_run(deployment, study)
            for number in range(1, kills + 1):
                rng = seeding.generator(seed, "kill", number)
                victim = str(rng.choice(deployment.names)) if number % 2 else COORDINATOR
                moment = float(rng.uniform(0.05, 0.8)) * baseline
                name = f"kill-{number}"
                ended, resumes, seconds = _killed_run(deployment, study, name, victim, moment)
                while resumes < 0:  # it was over before
                    name, moment = f"{name}-sooner", moment / 2
                    ended, resumes, seconds = _killed_run(deployment, study, name, victim, moment)
                resumed += resumes > 0
                longest = max(longest, seconds)
                found = deployment.coordinator / "runs" / name
                equal = all((found / file).read_bytes() == content for file, content in models.items())
                verified = audit_logs_verify(deployment)
                good += equal and verified
                outcome = f"models {'equal' if equal else 'DIFFERENT'}, logs {'verify' if verified else 'BROKEN'}"
                console.print(f"{number:>3} {victim} after {moment:.0f} s: {ended}; {resumes} resumes; {outcome}")
            waited = longest_wait(deployment)
        console.print(
            f"{good} of {kills} kills survived with equal models and verified logs; longest run {longest:.0f} s "
            f"(unkilled {baseline:.0f} s), longest exchange {waited:.1f} s, deadline {DEADLINE_SECONDS} s"
        )
        if good != kills:
            raise DeploymentError(f"{kills - good} of {kills} kills were not survived")
        if waited > DEADLINE_SECONDS + GRACE_SECONDS:
            raise DeploymentError(f"an exchange lasted {waited:.0f} s, past its deadline")
        figures = {"kills": kills, "survived": good, "resumed": resumed, "longest_exchange_seconds": waited}
        return {**figures, "longest_seconds": longest, "unkilled_seconds": baseline}


def audit_logs_verify(deployment: LocalDeployment) -> bool:
    """Verify every party's log, against the heads the other side holds of it."""
    logs = {COORDINATOR: deployment.coordinator / "audit.sqlite"}
    sites = [name for name in deployment.names if name != COORDINATOR]
    logs |= {site: deployment.kit(site) / "state" / "audit.sqlite" for site in sites}
    held: dict[str, bytes] = {}
    for name, path in logs.items():
        with AuditLog(path, name) as log:
            held[name] = export_heads(log)
    outcomes = [verify_file(logs[site], heads_held_elsewhere=load_heads(held[COORDINATOR], site)) for site in sites]
    outcomes += [verify_file(logs[COORDINATOR], heads_held_elsewhere=load_heads(held[s], COORDINATOR)) for s in sites]
    return all(outcome.ok for outcome in outcomes)


def longest_wait(deployment: LocalDeployment) -> float:
    """Seconds of the longest exchange, from the coordinator's log; one that a kill of the coordinator cut is none."""
    longest, sent = 0.0, None
    with AuditLog(deployment.coordinator / "audit.sqlite", COORDINATOR) as log:
        for entry in log.entries():
            kind = entry.event.kind
            if kind is Kind.MESSAGE_SENT:
                sent = entry
            elif entry.event.details.get("kind") == "late, not used":
                continue
            elif sent is not None and kind in (Kind.MESSAGE_RECEIVED, Kind.REFUSAL):
                longest, sent = max(longest, (entry.monotonic_ns - sent.monotonic_ns) / 1e9), None
            elif kind is Kind.RUN_RESUMED:
                sent = None
    return longest


def _whole_run(deployment: LocalDeployment, study: Path) -> float:
    start = time.monotonic()
    process = deployment.submit("submit", str(study), "--run", "unkilled")
    output, _ = process.communicate(timeout=LONGEST_RUN_SECONDS)
    if process.returncode:
        raise DeploymentError(f"the unkilled run failed: {output}")
    return time.monotonic() - start


def _killed_run(
    deployment: LocalDeployment, study: Path, name: str, victim: str, moment: float
) -> tuple[str, int, float]:
    """Return how the first attempt ended, how many resumes it took (-1: nothing to kill), and the seconds."""
    start = time.monotonic()
    process = deployment.submit("submit", str(study), "--run", name)
    try:
        process.wait(timeout=moment)
        return "completed", -1, time.monotonic() - start
    except subprocess.TimeoutExpired:
        deployment.kill(victim)
        deployment.start(victim)
    resumes = 0
    output, _ = process.communicate(timeout=LONGEST_RUN_SECONDS)
    ended = "completed" if process.returncode == 0 else _reason(output)
    while process.returncode:
        if resumes == MOST_RESUMES:
            raise DeploymentError(f"run {name} cannot be resumed: {output}")
        process = deployment.submit("resume", name)
        output, _ = process.communicate(timeout=LONGEST_RUN_SECONDS)
        resumes += 1
    if STOPPED in output:
        raise DeploymentError(f"run {name} hung: {output}")
    return ended, resumes, time.monotonic() - start


def _reason(output: str) -> str:
    lines = [line for line in output.splitlines() if "error:" in line]
    return lines[-1].partition("error: ")[2][:60] if lines else "failed without a reason"
