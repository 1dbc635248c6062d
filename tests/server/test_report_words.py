"""Sentences of the report are true of plans with one source or several, with trees or none, with sites left out."""

from __future__ import annotations

import pytest

from common.plan import from_json, read
from server.report import labels, method
from server.report.labels import View
from server.report.summary import Line, lines
from server.results import Interval
from tests.networks import stage, stages
from tests.server.studies import WITHHELD, simulated

SITES = {"a": 400, "b": 300}
BAGGING = {"kind": "boosting", "strategy": "fedxgb_bagging", "rounds": 1}


def of_plan(plan, **changes):
    return simulated(sizes=SITES).model_copy(update={"plan": plan.to_json(), **changes})


@pytest.fixture(scope="module")
def mixed(demo_with):
    """Give a plan whose sites have sources of their own."""
    changes = {"data.source": "nih_cxr", "data.synthetic": None, "data.sources": {"b": "eicu"}}
    return demo_with({**changes, "sites.names": list(SITES), "sites.partition": "folder", "sites.quorum": 1})


@pytest.mark.parametrize(("invented", "credited"), [((), True), (("a",), True), (("b",), False), (("a", "b"), False)])
def test_each_source_of_real_data_is_credited(mixed, invented, credited):
    told = method.attributions(of_plan(mixed, synthetic=invented), mixed)
    assert ["eICU" in text for text in told] == [True] * credited


def test_the_model_card_names_the_source_of_every_site(mixed, demo_with):
    card = dict(method.card(of_plan(mixed), mixed, ()))
    assert "source nih_cxr, at a; source eicu, at b" in card["Learnt from"]
    plain = demo_with({"data.synthetic": None})
    assert "source eicu, at a, b" in dict(method.card(of_plan(plain), plain, ()))["Learnt from"]


def test_what_only_trees_know_is_not_said_of_networks(demo_with):
    trees = demo_with({})
    found = of_plan(trees)
    told = " ".join(method.measured(found, trees, lines(found, trees)))
    assert all(words in told for words in ("Resampling", "Agreed base score", "Own local"))
    networks = demo_with({"stages": stages(stage("net"))})
    net = [one.model_copy(update={"name": "net"}) for one in found.candidates if one.name == "fedxgb_bagging"]
    alone = found.model_copy(update={"plan": networks.to_json(), "candidates": tuple(net)})
    told = " ".join(method.measured(alone, networks, lines(alone, networks)))
    assert not any(words in told for words in ("Resampling", "Agreed base score", "Own local"))


def test_how_far_figures_move_with_the_seed_is_told_without_a_base_score_of_one_label_alone(demo_with):
    plan = demo_with({"stages": stages(stage("net")), "seeds": [7, 8]})
    seeds = simulated((7, 8), SITES)
    net = [one.model_copy(update={"name": "net"}) for one in seeds.candidates if one.name == "fedxgb_bagging"]
    found = seeds.model_copy(update={"candidates": tuple(net), "base_scores": {}})
    values = sorted(score.auroc.value for score in net[0].scores if score.site == "overall")
    told = f"AUROC over all patients, lowest to highest seed: Federated net {values[0]:.3f} to {values[1]:.3f}."
    assert told in " ".join(method.measured(found, plan, ()))
    several = read("crd8").model_copy(update={"seeds": (7, 8)})
    assert "lowest to highest" not in " ".join(method.measured(found, several, ()))


def test_sites_that_the_overall_figures_are_without_are_named():
    whole, part = simulated(sizes=SITES), simulated()
    plan = from_json(whole.plan)
    assert method.left_out(whole, plan) == []
    (told,) = method.left_out(part, plan)
    assert told.endswith(f"without {WITHHELD}.")
    two = plan.model_copy(update={"seeds": (7, 8)})
    (told,) = method.left_out(whole, two)  # with the second seed no site answered
    assert told.endswith("without a, b.")
    figures_only = [
        one.model_copy(update={"scores": tuple(score for score in one.scores if score.site != "overall")})
        for one in part.candidates
    ]
    assert method.left_out(part.model_copy(update={"candidates": tuple(figures_only)}), plan) == []


def test_overall_figures_from_counts_too_coarse_for_them_are_said_to_be_doubtful():
    found = simulated(sizes=SITES)
    assert method.coarse(found) == []
    one, *others = (each for each in found.candidates if each.kind == "federated")
    flat = {"negatives": (900, *[0] * 127), "positives": (100, *[0] * 127)}  # the same risk for everybody
    scores = tuple(score.model_copy(update=flat) for score in one.scores)
    candidates = (one.model_copy(update={"scores": scores}), *others)
    (told,) = method.coarse(found.model_copy(update={"candidates": candidates}))
    assert "(by up to 0.50)" in told
    assert "the model gives many patients" in told


def test_an_ensemble_has_no_file_of_its_own_and_its_variants_are_of_what_its_members_are(demo_with):
    found = of_plan(plan := demo_with({}))
    assert "ensemble" not in dict(method.card(found, plan, ()))["Known by"]
    both = {"kind": "ensemble", "name": "both", "models": ["fedxgb_bagging", "net"]}
    together = demo_with({"stages": stages(BAGGING, stage("net"), both)})
    found = of_plan(together)
    assert "an ensemble by those of its members" in dict(method.card(found, together, ()))["Known by"]
    assert any("both: the mean log odds of fedxgb_bagging, net; where there is an own local" in text
               for text in method.measured(found, together, ()))  # fmt: skip


def line(kind: str, value: float, family: str = "", name: str = "") -> Line:
    """Return a line with the same figure at site a and over all patients."""
    name, figure = name or kind, Interval(value=value, low=value - 0.1, high=value + 0.1)
    figures = {(site, "auroc"): figure for site in ("a", "overall")}
    return Line(name, name.capitalize(), kind, "#000", "o", "-", figures, None, family)


def view(name: str, **values: float) -> View:
    return View(name, name, tuple(line(kind, value) for kind, value in values.items()))


def test_the_headline_over_labels_says_when_averaging_does_better():
    better, worse = ([view(name, federated=0.7, ensemble=value) for name in ("x", "y")] for value in (0.8, 0.6))
    text = "Federated predicts: mean AUROC 0.700 over 2 of 2 labels"
    assert labels.answer(worse, ("a",), ()).headline == f"{text}."
    assert labels.answer(better, ("a",), ()).headline == f"{text}, yet simply averaging the local models does better."
    fewer = [better[0], view("y", federated=0.7)]
    assert labels.answer(fewer, ("a",), ()).headline == f"{text}."  # the means are of other labels


def test_what_no_site_has_of_its_own_does_not_hide_whether_training_together_helped_over_labels():
    """An ensemble of two stages of trees predicts best; the sites' own trees stand beside the better of these."""
    trees = (line("federated", 0.6, name="cyclic"), line("federated", 0.8, name="bagging"), line("local", 0.7))
    both, averaged = line("federated", 0.9, "both", "both"), line("ensemble", 0.95)
    shown = [View(name, name, (both, *trees, averaged)) for name in ("x", "y")]
    found = labels.answer(shown, ("a",), ())
    assert found.headline == (
        "Both predicts best of the federated models: mean AUROC 0.900 over 2 of 2 labels, "
        "yet simply averaging the local models does better."
    )
    assert (
        "Beside what a site trained alone, on that site's own patients, bagging is better in 2 of 2 pairs of site and "
        "label; AUROC changes by +0.100 in the mean."
    ) in found.sentences
    tiles = {tile.heading: (tile.cells[0].text, tile.cells[0].note) for tile in labels.tiles(shown, ("a",))}
    assert tiles["mean AUROC, both"] == ("0.900", "over 2 of 2 labels")
    assert tiles["pairs of site and label better off than alone"] == ("2 of 2", "Bagging")
    assert tiles["AUROC, mean change over a site's own model"] == ("+0.100", "Bagging")
    best_has_twins = [View(one.name, one.meaning, trees) for one in shown]
    assert "it is better in 2 of 2" in " ".join(labels.answer(best_has_twins, ("a",), ()).sentences)
