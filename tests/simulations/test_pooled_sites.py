"""The pooled baseline is judged where the federated models were: figures of other patients do not compare."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from common.messages import EvaluateReply
from common.metrics import METRICS
from common.plan import from_json
from simulations import pooled
from tests.server.studies import simulated

FILES = {"a": Path("a/site.toml"), "b": Path("b/site.toml")}


def test_a_site_that_was_away_with_one_seed_judges_no_pooled_model_of_it(monkeypatch):
    found = simulated(seeds=(7, 8), sizes={"a": 400, "b": 300})
    left = tuple(
        one.model_copy(update={"scores": tuple(s for s in one.scores if (s.seed, s.site) != (8, "b"))})
        for one in found.candidates
    )
    nothing = {name: [] for name in (*METRICS, "negatives", "positives")}
    judged = []

    def judge(_plan, file, seed, *_):
        judged.append((seed, file.parent.name))
        withheld = {"withheld": ["death"], "references": [], "references_withheld": []}
        return EvaluateReply(labels=["death"], candidates=["pooled"], **withheld, **nothing)

    monkeypatch.setattr(pooled, "open_site", lambda _: SimpleNamespace(run=""))
    monkeypatch.setattr(pooled, "train", lambda *_: None)
    monkeypatch.setattr(pooled, "_score", judge)
    told = pooled.add_pooled(found.model_copy(update={"candidates": left}), from_json(found.plan), FILES)
    assert judged == [(7, "a"), (7, "b"), (8, "a")]
    (one,) = [each for each in told.candidates if each.name == "pooled"]
    assert [(score.seed, score.site) for score in one.scores] == judged
