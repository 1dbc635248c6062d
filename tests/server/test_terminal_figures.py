"""Figures on the terminal are those of the report: over seeds, told only where those of every seed are."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from common.plan import read
from server.following import results_table
from server.report.summary import _average
from server.results import OVERALL, Candidate, Interval, Score

SITES = ("alder", "birch")


def score(site, seed, auroc):
    interval = None if auroc is None else Interval(value=auroc, low=auroc, high=auroc)
    return Score(site=site, seed=seed, auroc=interval, auprc=None, min_se_ppv=None, brier=None, ece=None)


def candidate(label, figures):
    """A federated model with the AUROC of each site, seed by seed; ``figures`` by site."""
    scores = [score(site, 7 + place, value) for site, of in figures.items() for place, value in enumerate(of)]
    return Candidate(name="trees", label=label, kind="federated", scores=tuple(scores))


def shown(plan, *candidates):
    """Return the cells of each row below the headings, by the row's name."""
    found = SimpleNamespace(
        plan=plan.to_json(), synthetic=(), only_synthetic=False, candidates=candidates, macro=(),
        sites=[SimpleNamespace(name=site) for site in SITES],
    )  # fmt: skip
    page = io.StringIO()
    Console(file=page, width=100).print(results_table(found))
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in page.getvalue().splitlines() if "│" in line]
    return {name: cells for name, *cells in rows}


@pytest.mark.parametrize(
    ("figures", "text"),
    [((0.6, 0.8), "0.700"), ((None, 0.8), "withheld"), ((0.6, None), "withheld"), ((None, None), "withheld")],
)
def test_a_seed_that_is_withheld_withholds_the_mean(figures, text):
    told = candidate("death", {"alder": figures, "birch": (0.5, 0.5)})
    rows = shown(read("demo"), told)
    assert (rows["alder"], rows["birch"]) == ([text], ["0.500"])
    report = _average([one.auroc for one in told.scores if one.site == "alder"])
    assert text == ("withheld" if report is None else f"{report.value:.3f}")


def test_the_mean_over_labels_is_of_those_told_in_every_seed():
    plan = read("crd8")
    first, second, third = plan.label_names[:3]
    rows = shown(
        plan,
        candidate(first, {OVERALL: (0.6, 0.8)}),
        candidate(second, {OVERALL: (0.9, 0.9)}),
        candidate(third, {OVERALL: (None, 0.1)}),
    )
    assert [rows[label] for label in (first, second, third)] == [["0.700"], ["0.900"], ["withheld"]]
    assert rows["mean"] == ["0.800 (over 2)"]


def test_a_figure_from_counts_too_coarse_for_it_is_marked():
    """Half of the pairs that fall into one bin: of two bins with (6, 2) and (4, 8) of ten each, 44 of 100, by .22."""
    told = candidate("death", {"alder": (0.6,), OVERALL: (0.6,)})
    site, overall = told.scores
    counts = {"negatives": (6, 4, *[0] * 126), "positives": (2, 8, *[0] * 126)}
    fine = {"negatives": (10, *[0] * 127), "positives": (*[0] * 127, 10)}
    coarse = told.model_copy(update={"scores": tuple(one.model_copy(update=counts) for one in (site, overall))})
    exact = told.model_copy(update={"scores": (site, overall.model_copy(update=fine))})
    assert [one.binning_error for one in coarse.scores] == [0.0, pytest.approx(0.22)]
    plan = read("demo")
    assert [shown(plan, one)[OVERALL] for one in (coarse, exact)] == [["≈0.600"], ["0.600"]]
    assert shown(plan, coarse)["alder"] == ["0.600"]
    found = SimpleNamespace(plan=plan.to_json(), synthetic=(), only_synthetic=False, macro=(), sites=[])
    alone = coarse.model_copy(
        update={"name": "local/birch", "kind": "local"}
    )  # of which the table shows no such figure
    shown_of = {"coarse": [coarse], "exact": [exact], "coarse alone": [exact, alone]}
    captions = {
        of: results_table(SimpleNamespace(**vars(found), candidates=some)).caption for of, some in shown_of.items()
    }
    assert [of for of, caption in captions.items() if caption] == ["coarse"]
