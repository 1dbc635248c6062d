"""One plan at several epsilons: what is run, what is drawn, what epsilons are told for comparison."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.exceptions import PlanError
from common.plan import Repetition
from common.privacy.accountant import epsilon
from common.privacy.events import SampledGaussian
from server.results import OVERALL, PrivacySpent, PrivateStage
from simulations import pooled_networks
from simulations.privacy_curve import (
    at_epsilon,
    composed,
    curves,
    found_out,
    measure,
    of_many_records,
    read_epsilons,
)
from simulations.privacy_curve_page import draw, write
from tests.server.studies import Page, simulated

PRIVATE = {"epsilon": None, "noise_multiplier": 1.1, "delta": 1e-4, "sample_rate": 0.1, "steps": 30}
STAGES = [
    {"kind": "statistics"},
    {"kind": "encoder", "name": "noisy", "encoders": {"table": "tabular"}, "rounds": 2, "privacy": PRIVATE},
    {"kind": "encoder", "name": "plain", "encoders": {"table": "tabular"}, "rounds": 2},
    {"kind": "evaluate", "share": "curves"},
]
SPENT = PrivateStage(
    name="noisy", epsilon=1.0, delta=1e-4, noise_multiplier=4.0, clipping_norm=1.0, sample_rate=0.1, steps=60
)


@pytest.fixture
def plan(demo_with):
    return demo_with({"stages": STAGES, "seeds": [7, 8]})


def found_at(plan, quality, *, spent=SPENT):
    """Results in which the federated model is called as the stage with noise."""
    found = simulated(sizes={"a": 400, "b": 300})
    (first, *_) = found.candidates
    better = tuple(
        score.model_copy(update={"auroc": score.auroc.model_copy(update={"value": quality})}) for score in first.scores
    )
    candidate = first.model_copy(update={"name": "noisy", "kind": "federated", "scores": better})
    privacy = spent and PrivacySpent(stages=(spent,), epsilon=1.0, delta=1e-4, accountant="PLD, of a test")
    return found.model_copy(update={"plan": plan.to_json(), "candidates": (candidate,), "privacy": privacy})


def test_every_stage_with_noise_gets_the_epsilon_and_no_other(plan):
    varied = at_epsilon(plan, 3.0, 8)
    noisy, plain = varied.encoders
    assert (noisy.privacy.epsilon, noisy.privacy.noise_multiplier, noisy.privacy.steps) == (3.0, None, 30)
    assert plain == plan.encoders[1]
    assert noisy.training == plan.encoders[0].training
    assert varied.seeds == (8,), "the epsilon of a plan is that of all its seeds together"


def test_infinity_is_without_noise_and_looks_at_a_patient_as_often(plan):
    noisy, _ = at_epsilon(plan, math.inf, 7).encoders
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


def test_each_epsilon_is_run_once_a_seed_and_its_figures_are_taken(plan, tmp_path):
    ran = []

    def run(varied, epsilon, seed):
        ran.append((epsilon, seed, varied.seeds, varied.encoders[0].privacy and varied.encoders[0].privacy.epsilon))
        return found_at(varied, (0.7 if epsilon == 1 else 0.8) + (seed - 7) / 50, spent=SPENT if epsilon == 1 else None)

    found = measure(plan, (1.0, math.inf), run)
    assert ran == [(1.0, 7, (7,), 1.0), (1.0, 8, (8,), 1.0), (math.inf, 7, (7,), None), (math.inf, 8, (8,), None)]
    (curve,) = write(plan, found, tmp_path / "page.html")
    assert (curve.name, curve.delta) == ("noisy", 1e-4)
    assert [curve.at[epsilon].figures[OVERALL].value for epsilon in (1.0, math.inf)] == pytest.approx([0.71, 0.81])
    assert curve.at[1.0].seeds == pytest.approx((0.7, 0.72))
    html = (tmp_path / "page.html").read_text()
    page = Page(html)
    rows = page.tables["AUROC of noisy by epsilon"]
    assert [text for text, _ in rows[0]] == ["Epsilon", "All patients", "Lowest and highest seed", "a", "b"]
    assert [[text for text, _ in row[:3]] for row in rows[1:]] == [
        ["1", "0.710", "0.700–0.720"], ["∞", "0.810", "0.800–0.820"],
    ]  # fmt: skip
    promises = page.tables["What epsilon promises: noisy"]
    assert promises[1][1][0] == f"{100 * (math.e * 0.01 + 1e-4):.3g}"
    assert [text for text, _ in promises[2]] == ["∞", "100", "none", "–", "–", "–", "–"]
    assert "noisy: AUROC 0.810 without noise, 0.710 at epsilon = 1." in page.text
    assert "SYNTHETIC DATA" in page.text
    assert "://" not in html


def test_what_is_withheld_is_no_point_of_the_curve(plan):
    found = found_at(plan, 0.7)
    scores = tuple(s for s in found.candidates[0].scores if s.site != OVERALL)
    none = found.model_copy(update={"candidates": (found.candidates[0].model_copy(update={"scores": scores}),)})
    (shown,) = curves(plan, {1.0: [found, none], 2.0: [found]})
    assert OVERALL not in shown.at[1.0].figures, "one seed's figure is withheld"
    assert shown.at[1.0].seeds == ()
    assert shown.at[2.0].seeds == (0.7,)
    assert "All patients" in draw((shown,), ["a", "b"])


def test_records_protected_instead_of_patients_cost_a_patient_with_several_of_them_more():
    one = composed(SPENT, 1)
    assert 2.5 * one < of_many_records(SPENT) < 8 * one, "sums of five grow about five times as fast"
    assert one < composed(SPENT, 5) < 5 * one


def test_an_attacker_by_hand():
    assert found_out(math.inf, 1e-4, 0.01) == 1.0
    assert found_out(math.log(2), 0.0, 0.01) == pytest.approx(0.02)
    assert found_out(math.log(100), 0.0, 0.5) == pytest.approx(0.995)  # 1 - 0.5 / 100


@given(st.floats(0.01, 10), st.floats(0, 0.1), st.floats(0.001, 0.5))
def test_an_attacker_finds_no_less_than_by_guessing_and_more_with_epsilon(epsilon, delta, false_alarms):
    share = found_out(epsilon, delta, false_alarms)
    assert false_alarms <= share <= 1
    assert share <= found_out(2 * epsilon, delta, false_alarms) + 1e-12


@pytest.mark.parametrize("text", ["", "a", "0", "-1,2", "1,1", "nan"])
def test_epsilons_that_are_none_are_refused(text):
    with pytest.raises(PlanError, match="epsilons are numbers above 0"):
        read_epsilons(text)


def test_epsilons_are_ascending_and_may_be_infinite():
    assert read_epsilons("inf,3,0.5") == (0.5, 3.0, math.inf)


def test_a_plan_without_noise_has_no_curve(demo_with):
    with pytest.raises(PlanError, match="no encoder stage with 'privacy'"):
        at_epsilon(demo_with({}), 1.0, 7)


def test_looks_at_validation_patients_are_composed_with_the_training():
    spent = SPENT.model_copy(update={"validation_noise": 8.0, "looks": 2})
    both = [SampledGaussian(4.0, 0.1, 120), SampledGaussian(8.0, 1.0, 4)]
    assert composed(spent, 2) == pytest.approx(epsilon(both, 1e-4, step=1e-2), rel=1e-9)
    assert of_many_records(spent) > of_many_records(SPENT) > 0
