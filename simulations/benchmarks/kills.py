"""Twenty kills at random points of a real deployment over TLS.

Does the study survive them?

Each time a coordinator or a site is killed with SIGKILL in the middle of an exchange, all its processes at once,
restarted, and the run resumed if it failed. In the end every model that is trained without noise, trees and networks,
must be that of an unbroken run in one process to the byte, every audit log must verify against the heads the others
hold, and nothing may outlast its deadline.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from common import plan as plans
from common import seeding
from common.audit.event import Entry, Kind
from common.audit.log import AuditLog
from common.audit.verify import verify_file
from common.audit.witness import export_heads, load_heads
from common.exceptions import DeploymentError
from common.plan import Plan
from server.progress import exchanges, latest
from simulations.local_deployment import COORDINATOR, LocalDeployment
from simulations.running import Simulation, prepare, simulate
from simulations.sites import partition

KILLS = 20
LONGEST_RUN_SECONDS = 1800.0
MOST_RESUMES = 4
DEADLINE_SECONDS = 20
"""As the study's file has it; longer where the machine is slow."""
LONGEST_PAUSE_SECONDS = 3.0
"""Between the beginning of an exchange and a kill; most exchanges are over by then."""
STOPPED = "so it was stopped"
"""What submit says of a run that did not end by itself."""
STUDY = Path(__file__).with_name("kills.toml")


@dataclass(frozen=True)
class Kill:
    """Whom to kill at which moment.

    Attributes
    ----------
    victim : str
        The coordinator or a site.
    after : int
        Exchanges of the run that are over; the next one has reached the victim, or has left the coordinator.
    pause : float
        Seconds more.
    """

    victim: str
    after: int
    pause: float = 0.0


@dataclass(frozen=True)
class Survival:
    """What became of a run: how its first attempt ended, how often it was resumed, how long it took in seconds."""

    ended: str
    resumes: int
    seconds: float


@dataclass(frozen=True, eq=False)
class Trial:
    """A deployment whose runs are compared with one that nobody disturbed.

    ``pace`` is how many seconds that one and the start of the deployment took, ``deadline`` that of an exchange.
    """

    unbroken: Simulation
    deployment: LocalDeployment
    study: Path
    pace: float
    deadline: float

    @property
    def plain(self) -> dict[str, bytes]:
        """Models of the unbroken run that are trained without noise, by file name."""
        noisy = {stage.name for stage in self.unbroken.plan.encoders if stage.privacy is not None}
        files = [file for ending in ("json", "safetensors") for file in self.unbroken.folder.glob(f"*-seed*.{ending}")]
        return {file.name: file.read_bytes() for file in files if file.name.rpartition("-seed")[0] not in noisy}

    def folder(self, run: str) -> Path:
        """Return a run's folder."""
        return self.deployment.coordinator / "runs" / run

    def equal(self, run: str) -> bool:
        """Whether a run's models are the unbroken run's."""
        found = self.folder(run)
        return all((found / file).read_bytes() == content for file, content in self.plain.items())

    def survive(self, run: str, kill: Kill | None) -> Survival:
        """Run the study, and resume it until it is through.

        Raises
        ------
        DeploymentError
            It was over before the kill, hung, or cannot be resumed.
        """
        start = time.monotonic()
        process = self.deployment.submit("submit", str(self.study), "--run", run)
        if kill is not None:
            while not self._reached(run, kill):
                if process.poll() is not None:
                    raise DeploymentError(f"run {run} ended before its kill: {process.communicate()[0]}")
                time.sleep(0.05)
            time.sleep(kill.pause)
            self.deployment.kill(kill.victim)
            self.deployment.start(kill.victim)
        resumes = 0
        output, _ = process.communicate(timeout=LONGEST_RUN_SECONDS)
        ended = "completed" if process.returncode == 0 else _reason(output)
        while process.returncode:
            if resumes == MOST_RESUMES or kill is None:
                raise DeploymentError(f"run {run} failed: {output}")
            process = self.deployment.submit("resume", run)
            output, _ = process.communicate(timeout=LONGEST_RUN_SECONDS)
            resumes += 1
        if STOPPED in output:
            raise DeploymentError(f"run {run} hung: {output}")
        return Survival(ended, resumes, time.monotonic() - start)

    def _reached(self, run: str, kill: Kill) -> bool:
        """Whether the victim is at work in the exchange that follows those that are over."""
        step = latest(self.folder(run) / "progress.jsonl")
        if (step.done if step else 0) < kill.after:
            return False
        begins, ends = Kind.MESSAGE_RECEIVED, Kind.MESSAGE_SENT
        if kill.victim == COORDINATOR:
            begins, ends = ends, begins
        events = [entry.event for entry in _entries(self.deployment, kill.victim)]
        turns = [one.kind for one in events if one.kind in (begins, ends) and one.details.get("run") == run]
        return turns[-1:] == [begins]


def run(console: Console, kills: int = KILLS, seed: int = 2026) -> Mapping[str, object]:
    """Kill, restart, resume, compare; print a line a kill."""
    with tempfile.TemporaryDirectory() as temporary, trial(Path(temporary)) as one:
        total, sites = exchanges(one.unbroken.plan), one.deployment.names[1:]
        good, survived = 0, list[Survival]()
        for number in range(1, kills + 1):
            rng = seeding.generator(seed, "kill", number)
            victim = str(rng.choice(sites)) if number % 2 else COORDINATOR
            kill = Kill(victim, int(rng.integers(total)), float(rng.uniform(0, LONGEST_PAUSE_SECONDS)))
            found = one.survive(f"kill-{number}", kill)
            survived.append(found)
            equal, verified = one.equal(f"kill-{number}"), audit_logs_verify(one.deployment)
            good += equal and verified
            outcome = f"models {'equal' if equal else 'DIFFERENT'}, logs {'verify' if verified else 'BROKEN'}"
            moment = f"in exchange {kill.after + 1} of {total}"
            console.print(f"{number:>3} {victim} {moment}: {found.ended}; {found.resumes} resumes; {outcome}")
        waited, longest = longest_wait(one.deployment), max(found.seconds for found in survived)
        console.print(
            f"{good} of {kills} kills survived with equal models and verified logs; longest run {longest:.0f} s, "
            f"longest exchange {waited:.1f} s, deadline {one.deadline:.0f} s"
        )
        if good != kills:
            raise DeploymentError(f"{kills - good} of {kills} kills were not survived")
        if waited > one.deadline + one.pace:  # which is more than reading the replies and writing the log takes
            raise DeploymentError(f"an exchange lasted {waited:.0f} s, past its deadline")
        resumed = sum(found.resumes > 0 for found in survived)
        figures = {"kills": kills, "survived": good, "resumed": resumed, "longest_exchange_seconds": waited}
        return {**figures, "longest_seconds": longest, "deadline_seconds": one.deadline}


@contextmanager
def trial(folder: Path) -> Iterator[Trial]:
    """Run the study in one process, and deploy what will run it again.

    How long both take says how quick this machine is at the moment, and so how long to wait for a site.
    """
    start = time.monotonic()
    unbroken = prepare(_plan(folder, LONGEST_RUN_SECONDS), folder / "unbroken", data=None, engine="in-process")
    simulate(unbroken)
    data = unbroken.folder / "hospitals"
    with LocalDeployment(folder, unbroken.plan, data, partition(unbroken.plan, data)) as deployment:
        pace = time.monotonic() - start
        deadline = max(DEADLINE_SECONDS, 1.5 * pace)
        _plan(folder, deadline)
        yield Trial(unbroken, deployment, folder / "study.toml", pace, deadline)


def _plan(folder: Path, deadline: float) -> Plan:
    study = folder / "study.toml"
    text = STUDY.read_text(encoding="utf-8")
    study.write_text(text.replace(f"= {DEADLINE_SECONDS}\n", f"= {deadline:.1f}\n"), encoding="utf-8")
    return plans.read(study)


def audit_logs_verify(deployment: LocalDeployment) -> bool:
    """Verify every party's log, against the heads the other side holds of it."""
    logs = {party: audit_log(deployment, party) for party in deployment.names}
    sites = [name for name in deployment.names if name != COORDINATOR]
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
    for entry in _entries(deployment, COORDINATOR):
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


def _entries(deployment: LocalDeployment, party: str) -> list[Entry]:
    """Read a party's audit log, also while it is written to."""
    with AuditLog(audit_log(deployment, party), party) as log:
        return list(log.entries())


def audit_log(deployment: LocalDeployment, party: str) -> Path:
    """Return the file of a party's audit log."""
    folder = deployment.coordinator if party == COORDINATOR else deployment.kit(party) / "state"
    return folder / "audit.sqlite"


def _reason(output: str) -> str:
    lines = [line for line in output.splitlines() if "error:" in line]
    return lines[-1].partition("error: ")[2][:60] if lines else "failed without a reason"
