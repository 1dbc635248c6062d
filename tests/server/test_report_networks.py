"""Networks in the report and on the terminal: what was trained of what, what was kept, what privacy was spent."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from common.plan import from_json
from server import privacy
from server.following import results_table
from server.report.page import render
from server.report.summary import lines
from server.results import OVERALL, Round, StageHistory
from tests.server.studies import Page, simulated

PRIVATE = {"noise_multiplier": 1.0, "delta": 1e-4, "sample_rate": 0.1, "steps": 10, "epsilon": None}
STAGES = [
    {"kind": "statistics"},
    {"kind": "boosting", "strategy": "fedxgb_bagging", "rounds": 2},
    {"kind": "encoder", "name": "lstm", "encoders": {"table": "tabular"}, "rounds": 4, "validation": 0.1},
    {"kind": "encoder", "name": "noisy", "encoders": {"table": "tabular"}, "rounds": 2, "privacy": PRIVATE},
    {"kind": "local", "trees": 2},
    {"kind": "evaluate", "share": "curves"},
]
SITES = {"a": 400, "b": 300}


def history(name, losses, *, kept=None, epsilons=()):
    rounds = tuple(
        Round(
            number=number, seconds=1.0, bytes_down=10, bytes_up=10, sites=("a", "b"), missing={},
            training_loss=None, held_out_loss=loss, epsilon=epsilons[number - 1] if epsilons else None,
        )
        for number, loss in enumerate(losses, start=1)
    )  # fmt: skip
    return StageHistory(name=name, seed=7, fold=0, rounds=rounds, kept=kept)


@pytest.fixture(scope="module")
def results(demo_with):
    """Give results of trees and two networks, made of results of trees by renaming."""
    plan = demo_with({"stages": STAGES})
    found = simulated(sizes=SITES)
    known = {candidate.name: candidate for candidate in found.candidates}

    def called(old, new, kind):
        return known[old].model_copy(update={"name": new, "kind": kind})

    networks = [
        variant
        for name in ("lstm", "noisy")
        for variant in (
            called("fedxgb_cyclic", name, "federated"),
            *(called(f"local/{site}", f"{name} local/{site}", "local") for site in SITES),
            called("mean of local", f"{name} mean of local", "ensemble"),
            called("pooled", f"{name} pooled", "pooled"),
            called("pooled", f"{name} personal", "personal"),
        )
    ]
    trees = [candidate for candidate in found.candidates if candidate.name != "fedxgb_cyclic"]
    stages = (
        history("lstm", [0.6, 0.4, 0.3, 0.35], kept=2),
        history("noisy", [None, None], epsilons=[1.0, 1.4]),
    )
    spent = privacy.account(plan)
    update = {"plan": plan.to_json(), "candidates": (*trees, *networks), "stages": stages, "privacy": spent}
    return found.model_copy(update=update)


@pytest.fixture(scope="module")
def page(results):
    return Page(render(results))


def test_every_network_has_a_table_of_all_ways_it_was_trained(results, page):
    for name in ("lstm", "noisy"):
        head, *rows = page.tables[f"Figures of {name}"]
        assert [text for text, _ in head[1:]] == ["AUROC", "AUPRC", "min(Se, +P)", "Brier score", "Calibration error"]
        assert [row[0][0] for row in rows] == [
            f"{how} {name}" for how in ("Federated", "Personal", "Own local", "Mean of local", "Pooled")
        ]
        overall = {c.name: s for c in results.candidates for s in c.scores if s.site == OVERALL}
        figures = [getattr(overall[name], metric).value for metric in ("auroc", "auprc", "min_se_ppv", "brier", "ece")]
        assert [float(text) for text, _ in rows[0][1:]] == pytest.approx(figures, abs=5.1e-4)
    assert [row[0][0] for row in page.tables["Figures of Trees"][1:]][:2] == ["Federated bagging", "Own local trees"]


def test_a_sites_own_network_is_not_taken_for_its_own_trees(results):
    shown = lines(results, from_json(results.plan))
    own = {line.family: line for line in shown if line.kind == "local"}
    assert set(own) == {"", "lstm", "noisy"}
    by_name = {c.name: {s.site: s.auroc for s in c.scores} for c in results.candidates}
    for family, line in own.items():
        for site in SITES:
            assert line.at(site) == by_name[f"{family} local/{site}".lstrip()][site]
        assert line.at(OVERALL) is not None


def test_federated_models_have_colours_of_their_own(results):
    federated = [line for line in lines(results, from_json(results.plan)) if line.kind == "federated"]
    assert len({line.color for line in federated}) == len(federated) == 3


def test_the_loss_of_each_network_has_a_picture_and_the_kept_weights_a_dot(results, page):
    assert "Federated lstm: loss by round" in page.text
    assert "Dots: the weights that were kept" in page.text
    assert "Federated noisy: loss by round" not in page.text, "it tells no loss"
    nothing_kept = results.model_copy(
        update={"stages": tuple(stage.model_copy(update={"kept": None}) for stage in results.stages)}
    )
    assert "Dots" not in Page(render(nothing_kept)).text


def test_what_was_spent_is_said_with_unit_accountant_and_what_it_does_not_cover(results, page):
    head, row = page.tables["Privacy"]
    told = dict(zip([text for text, _ in head], [text for text, _ in row], strict=True))
    assert told["Stage"] == "noisy"
    assert float(told["Epsilon"]) == pytest.approx(results.privacy.epsilon, rel=5e-3)
    assert (told["Delta"], told["Noise multiplier"], told["Steps"]) == ("0.0001", "1", "20")
    for words in (
        "one patient, more or less", results.privacy.accountant, "Poisson", "Not covered", "figures and counts of the",
        "fedxgb_bagging, lstm, trained without noise", "own models of the local stage", "Epsilon by round",
    ):  # fmt: skip
        assert words in page.text, words


def test_a_run_without_noise_has_no_such_section(results):
    page = Page(render(results.model_copy(update={"privacy": None})))
    assert "What privacy was spent" not in page.text


def test_epsilon_grows_with_rounds_and_repetitions_up_to_the_whole(demo_with):
    plan = demo_with({"stages": STAGES, "seeds": [7, 8]})
    stage = plan.encoder("noisy")
    first, second = plan.repetitions
    spent = [privacy.epsilon_after(plan, stage, one, number) for one in (first, second) for number in (1, 2)]
    assert spent == sorted(spent)
    assert len(set(spent)) == 4
    assert spent[-1] == privacy.account(plan).stages[0].epsilon
    assert privacy.epsilon_after(plan, plan.encoder("lstm"), first, 1) is None


def test_the_terminal_groups_networks_and_shows_who_is_alone(results):
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(results_table(results))
    text = console.export_text()
    for name in ("lstm", "lstm personal", "noisy alone", "noisy mean of local", "APACHE IVa", "alone"):
        assert f" {name} " in text
    assert "…" not in text
    alone = next(line for line in text.splitlines() if " lstm alone " in line)
    own = {c.name: {s.site: s.auroc for s in c.scores} for c in results.candidates}
    assert [f"{own[f'lstm local/{site}'][site].value:.3f}" in alone for site in SITES] == [True, True]


def test_the_model_card_says_what_for_from_whom_and_how_private(results, page):
    for words in ("Made for:", "no medical device", "at a, b; all of them synthetic", "Works: Federated", "for noisy"):
        assert words in page.text, words
    assert "Trained without noise" in Page(render(results.model_copy(update={"privacy": None}))).text
