"""One plan at several epsilons: what is run, what is drawn, what is refused."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from common.exceptions import PlanError
from common.plan import Repetition
from server.results import OVERALL
from simulations import pooled_networks
from simulations.privacy_curve import at_epsilon, curves, draw, measure, read_epsilons, write
from tests.server.studies import Page, simulated

PRIVATE = {"epsilon": None, "noise_multiplier": 1.1, "delta": 1e-4, "sample_rate": 0.1, "steps": 30}
STAGES = [
    {"kind": "statistics"},
    {"kind": "encoder", "name": "noisy", "encoders": {"table": "tabular"}, "rounds": 2, "privacy": PRIVATE},
    {"kind": "encoder", "name": "plain", "encoders": {"table": "tabular"}, "rounds": 2},
    {"kind": "evaluate", "share": "curves"},
]


@pytest.fixture
def plan(demo_with):
    return demo_with({"stages": STAGES})


def found_at(plan, quality):
    """Results in which the federated model is called as the stage with noise."""
    found = simulated(sizes={"a": 400, "b": 300})
    (first, *_) = found.candidates
    better = tuple(
        score.model_copy(update={"auroc": score.auroc.model_copy(update={"value": quality})}) for score in first.scores
    )
    candidate = first.model_copy(update={"name": "noisy", "kind": "federated", "scores": better})
    return found.model_copy(update={"plan": plan.to_json(), "candidates": (candidate,)})


def test_every_stage_with_noise_gets_the_epsilon_and_no_other(plan):
    noisy, plain = at_epsilon(plan, 3.0).encoders
    assert (noisy.privacy.epsilon, noisy.privacy.noise_multiplier, noisy.privacy.steps) == (3.0, None, 30)
    assert plain == plan.encoders[1]
    assert noisy.training == plan.encoders[0].training


def test_infinity_is_without_noise_and_looks_at_a_patient_as_often(plan):
    noisy, _ = at_epsilon(plan, math.inf).encoders
    assert noisy.privacy is None
    assert noisy.training.epochs == 3  # 30 steps, each with a tenth of the patients
    assert noisy.shares == "equal", "the sites count for what they count with noise"


def test_the_pooled_twin_looks_at_a_patient_as_often(plan, monkeypatch):
    trained = []
    given = SimpleNamespace(inputs={}, labels=np.zeros((4, 1)), patients=np.arange(4).astype("U1"))
    for name, stand_in in {
        "open_site": lambda _: SimpleNamespace(devices=[]),
        "prepare": lambda *_: (given, None),
        "Examples": lambda *_: given,
        "train_alone": lambda _network, _examples, _rows, stage, **_: trained.append(stage),
        "load": lambda *_: None,
    }.items():
        monkeypatch.setattr(pooled_networks, name, stand_in)
    for stage in plan.encoders:
        pooled_networks.train(plan, stage, {"alder": Path("site.toml")}, Repetition(7, 0))
    assert [(stage.privacy, stage.training.epochs) for stage in trained] == [(None, 3), (None, 1)]


def test_each_epsilon_is_run_once_and_its_figure_taken(plan, tmp_path):
    ran = []

    def run(varied, epsilon):
        ran.append((epsilon, varied.encoders[0].privacy and varied.encoders[0].privacy.epsilon))
        return found_at(varied, 0.7 if epsilon == 1 else 0.8)

    found = measure(plan, (1.0, math.inf), run)
    assert ran == [(1.0, 1.0), (math.inf, None)]
    (curve,) = write(plan, found, tmp_path / "page.html")
    assert (curve.name, curve.delta) == ("noisy", 1e-4)
    assert [curve.at[epsilon].value for epsilon in (1.0, math.inf)] == pytest.approx([0.7, 0.8])
    html = (tmp_path / "page.html").read_text()
    page = Page(html)
    assert [row[0][0] for row in page.tables["AUROC by epsilon"][1:]] == ["1", "∞"]
    assert [row[1][0] for row in page.tables["AUROC by epsilon"][1:]] == ["0.700", "0.800"]
    assert "SYNTHETIC DATA" in page.text
    assert "://" not in html


def test_what_is_withheld_is_no_point_of_the_curve(plan):
    found = found_at(plan, 0.7)
    scores = tuple(s for s in found.candidates[0].scores if s.site != OVERALL)
    none = found.model_copy(update={"candidates": (found.candidates[0].model_copy(update={"scores": scores}),)})
    shown = curves(plan, {1.0: none, 2.0: found})
    assert shown[0].at[1.0] is None
    assert shown[0].at[2.0] is not None
    assert "noisy" in draw(shown)
    assert "noisy" not in draw(curves(plan, {1.0: none}))


@pytest.mark.parametrize("text", ["", "a", "0", "-1,2", "1,1", "nan"])
def test_what_are_no_epsilons_is_refused(text):
    with pytest.raises(PlanError, match="numbers above 0"):
        read_epsilons(text)


def test_epsilons_ascend():
    assert read_epsilons("inf,0.5,3") == (0.5, 3.0, math.inf)


def test_a_plan_without_noise_has_no_curve(demo_with):
    with pytest.raises(PlanError, match="no encoder stage with 'privacy'"):
        at_epsilon(demo_with({}), 1.0)
