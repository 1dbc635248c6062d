"""``metrics.jsonl``: one line for every round at every site, and for every final figure, as it happens.

A run is a function of what its checkpoint holds, so that a resumed one writes the lines of its finished rounds
again from there: none is lost or doubled. Each line has its ``key``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from common.metrics import METRICS
from common.plan import Repetition
from common.serialization import canonical
from server.results import OVERALL, Candidate, Round


class Tracking:
    """Writes a run's ``metrics.jsonl``; a line lost in a crash comes back on resuming, so it is not fsynced.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def begin(self) -> None:
        """Start an empty file, also when the run is resumed."""
        self._path.write_bytes(b"")

    def round(self, stage: str, repetition: Repetition, done: Round, label: str = "") -> None:
        """Note a round, of trees of a label: a line for each site that answered, and one for all of them."""
        seed, fold = repetition
        named = f"{stage}/{label}" if label else stage
        where = {
            "stage": stage,
            "label": label,
            "seed": seed,
            "fold": fold,
            "round": done.number,
            "epsilon": done.epsilon,
        }
        whole = {
            "seconds": done.seconds,
            "bytes_down": done.bytes_down,
            "bytes_up": done.bytes_up,
            "training_loss": done.training_loss,
            "held_out_loss": done.held_out_loss,
            "missing": sorted(done.missing),
        }
        sites = {site: one.model_dump() for site, one in done.at.items()}
        self._append(
            {
                "key": f"{named}/seed{seed}/fold{fold}/round{done.number}/{site}",
                "kind": "round",
                "site": site,
                **where,
                **found,
            }
            for site, found in {**sites, OVERALL: whole}.items()
        )

    def figures(self, candidates: Sequence[Candidate]) -> None:
        """Note the final figures of models, None where withheld."""
        several = len({candidate.label for candidate in candidates}) > 1
        self._append(
            {
                "key": f"{candidate.name}{f'/{candidate.label}' * several}/seed{score.seed}/{score.site}/{metric}",
                "kind": "figure",
                "model": candidate.name,
                "label": candidate.label,
                "trained": candidate.kind,
                "seed": score.seed,
                "site": score.site,
                "metric": metric,
                **(found.model_dump() if (found := getattr(score, metric)) else {"value": None}),
            }
            for candidate in candidates
            for score in candidate.scores
            for metric in METRICS
        )

    def _append(self, lines: Iterable[dict[str, object]]) -> None:
        with self._path.open("ab") as file:
            file.write(b"".join(canonical(line) + b"\n" for line in lines))
