"""Several labels on one page and on the terminal: side by side, then each by itself."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from common.plan import read
from server.averaging import macro
from server.following import results_table
from server.report.page import render
from server.results import OVERALL, Answers
from tests.server.studies import Page, simulated

SITES = {"hospital-1": 400, "hospital-2": 300}
QUALITY = {"image-only": 0.6, "ehr-only": 1.0, "both": 1.4, "film": 0.5, "mean of local": 0.9, "pooled": 1.3}
WITHHELD = "sarcoidosis"


def study():
    """Simulate the eight diseases: each a little harder than the one before, one withheld of the film's network."""
    plan = read("crd8").inviting(tuple(SITES))
    found, candidates = simulated(sizes=SITES), []
    for place, label in enumerate(plan.label_names):
        quality = {name: value * (1 - 0.08 * place) for name, value in QUALITY.items()}
        for one in simulated(sizes=SITES, quality=quality, local=0.8 * (1 - 0.08 * place)).candidates:
            scores = one.scores
            if (label, one.name) == (WITHHELD, "film"):
                nothing = dict.fromkeys(("auroc", "auprc", "min_se_ppv", "brier", "ece"))
                scores = tuple(each.model_copy(update={**nothing, "negatives": (), "positives": ()}) for each in scores)
            candidates.append(one.model_copy(update={"label": label, "scores": scores}))
    answers = {label: Answers(known=300, positives=40) for label in plan.label_names}
    sites = tuple(site.model_copy(update={"answers": answers}) for site in found.sites)
    stages = tuple(one.model_copy(update={"name": "both", "label": "copd"}) for one in found.stages[:1])
    update = {
        "plan": plan.to_json(),
        "plan_digest": plan.digest,
        "base_scores": dict.fromkeys(plan.label_names, 0.1),
        "candidates": tuple(candidates),
        "macro": macro(candidates),
        "sites": sites,
        "stages": stages,
    }
    return found.model_copy(update=update)


@pytest.fixture(scope="module")
def results():
    return study()


@pytest.fixture(scope="module")
def html(results):
    return render(results)


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def overall(results, name, label):
    (one,) = [each for each in results.candidates if (each.name, each.label) == (name, label)]
    (score,) = [each for each in one.scores if each.site == OVERALL]
    return score.auroc


def test_diseases_stand_beside_what_predicts_them(results, page):
    head, *rows = page.tables["AUROC by label"]
    assert [text for text, _ in head[1:]] == [
        f"Federated {name}" for name in ("image-only", "ehr-only", "both", "film")
    ]
    assert len(rows) == 9
    for row, label in zip(rows, read("crd8").label_names, strict=False):
        assert row[0][0] == label.replace("_", " ")
        for (text, note), name in zip(row[1:], ("image-only", "ehr-only", "both", "film"), strict=True):
            if (label, name) == (WITHHELD, "film"):
                assert text == "withheld"
                continue
            figure = overall(results, name, label)
            assert text == f"{figure.value:.3f}"
            assert note == f"{figure.low:.3f}–{figure.high:.3f}"


def test_the_mean_says_over_how_many_labels_and_is_that_of_the_metrics(results, page):
    last = page.tables["AUROC by label"][-1]
    means = {one.name: one for one in results.macro if one.site == OVERALL}
    for (text, note), name in zip(last[1:], ("image-only", "ehr-only", "both", "film"), strict=True):
        assert text == f"{means[name].auroc:.3f}"
        assert note == f"over {means[name].over} of 8"
    assert [means[name].over for name in ("both", "film")] == [8, 7]


def test_the_answer_is_about_all_labels(results, page):
    mean = next(one.auroc for one in results.macro if (one.name, one.site) == ("both", OVERALL))
    told = f"Federated both predicts best of the federated models: mean AUROC {mean:.3f} over 8 of 8 labels."
    assert told in page.text
    assert "(over 7)" in page.text
    assert re.search(r"better in \d+ of 16 pairs of site and label", page.text)
    assert "The patients are synthetic" in page.text


def test_each_label_has_its_tables_and_pictures_and_no_identifier_is_twice(html, page):
    for label in read("crd8").label_names:
        assert f"AUROC, {label.replace('_', ' ')}" in page.tables
    found = re.findall(r' id="([^"]*)"', html)
    assert len(found) == len(set(found)) > 20
    used = set(re.findall(r'(?:href="#|url\(#)([^")]*)', html))
    assert used <= set(found)
    assert html.count("ROC curves over all held-out patients") == 8


def test_the_terminal_shows_labels_and_their_mean(results):
    shown = io.StringIO()
    Console(file=shown, width=160).print(results_table(results))
    lines = [line for line in shown.getvalue().splitlines() if "│" in line]
    assert [line.split("│")[1].strip() for line in lines] == [*read("crd8").label_names, "mean"]
    assert "withheld" in next(line for line in lines if WITHHELD in line)
    assert "(over 7)" in lines[-1]
