"""How far a run is, as lines anybody on the coordinator's machine can follow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from common.network_stages import FeaturesStage
from common.plan import Plan
from common.serialization import canonical, parse
from common.stages import BoostingStage, LocalStage


@dataclass(frozen=True)
class Step:
    """One finished exchange: the stage's name, which of its exchanges, and how many of all are done."""

    stage: str
    number: int
    done: int
    total: int


class Progress:
    """Writes ``progress.jsonl``; a line lost in a crash costs nothing, so it is not fsynced."""

    def __init__(self, path: Path, total: int) -> None:
        self._path, self._total, self._done = path, total, 0
        path.write_bytes(b"")

    def step(self, stage: str, number: int) -> None:
        """Note a finished exchange."""
        self._done += 1
        line = canonical({"stage": stage, "number": number, "done": self._done, "total": self._total})
        with self._path.open("ab") as file:
            file.write(line + b"\n")


def exchanges(plan: Plan) -> int:
    """Exchanges a plan asks for, admission included."""
    training, labels = 0, len(plan.label_names)
    for stage in plan.training:
        if isinstance(stage, FeaturesStage):
            training += 1
        elif isinstance(stage, LocalStage):
            training += labels * bool(stage.trees) + sum(one.privacy is None for one in plan.encoders)
        else:
            training += stage.rounds * (labels if isinstance(stage, BoostingStage) else 1)
    judged = labels if labels == 1 or plan.ensembles else labels * plan.boosted + bool(plan.encoders)
    return 2 + len(list(plan.repetitions)) * training + len(plan.seeds) * judged


def latest(path: Path) -> Step | None:
    """Return the last step written to a ``progress.jsonl``, None before the first."""
    try:
        lines = path.read_bytes().splitlines()
        return Step(**parse(lines[-1])) if lines else None
    except (OSError, ValueError, TypeError):
        return None
