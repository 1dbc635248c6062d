"""What the report says of the site alone: a table, and a warning where prevalences make an overall figure."""

from __future__ import annotations

import numpy as np
import pytest

from common.plan import from_json
from common.score_histogram import score_bins
from server.report.page import render
from server.report.site_alone import section
from server.report.summary import lines
from server.results import OVERALL, Results
from tests.server.studies import Page, simulated

SIZES = {"a": 420, "b": 280}
TABLE = "AUROC within and between sites"


def with_prevalence(found: Results, shares: dict[str, float]) -> Results:
    """Replace what each site shares: scores that tell nothing but the site, at another prevalence a site."""

    def changed(score):
        if score.site == OVERALL:
            return score
        positives = round(shares[score.site] * SIZES[score.site])
        labels = np.arange(SIZES[score.site]) < positives
        counts = score_bins(labels, np.full(len(labels), shares[score.site]), 128)
        told = {"negatives": tuple(counts.negatives.tolist()), "positives": tuple(counts.positives.tolist())}
        return score.model_copy(update=told)

    candidates = tuple(one.model_copy(update={"scores": tuple(map(changed, one.scores))}) for one in found.candidates)
    return found.model_copy(update={"candidates": candidates})


@pytest.fixture(scope="module")
def found():
    return simulated(sizes=SIZES, seeds=(7, 8))


def test_alike_prevalences_need_no_warning(found):
    page = Page(render(found))
    head, alone, *others = page.tables[TABLE]
    assert [text for text, _ in head] == ["Score", "All pairs", "Of one site", "Of two sites"]
    assert alone[0][0] == "The site alone"
    assert float(alone[1][0]) == pytest.approx(0.5, abs=0.005)
    assert alone[2][0] == "0.500"
    assert {row[0][0] for row in others} >= {"Federated bagging", "Own local model", "Pooled training"}
    federated = {row[0][0]: row for row in others}["Federated bagging"]
    assert float(federated[1][0]) == pytest.approx(float(federated[2][0]), abs=0.02)
    low, high = map(float, federated[2][1].split("–"))
    assert low < float(federated[2][0]) < high
    assert "APACHE IVa" not in {row[0][0] for row in others}, "it covers other patients"
    assert "The site alone tells much" not in page.text


def test_a_score_that_tells_the_site_and_nothing_else_is_found_out(found):
    confounded = with_prevalence(found, {"a": 0.1, "b": 0.8})
    page = Page(render(confounded))
    rows = {row[0][0]: [text for text, _ in row[1:]] for row in page.tables[TABLE][1:]}
    assert rows["The site alone"] == rows["Federated bagging"]
    assert rows["The site alone"][1] == "0.500"
    whole = float(rows["The site alone"][0])
    assert whole > 0.8
    assert f"its prevalence as the only score reaches AUROC {whole:.3f}" in page.text
    assert "what counts are the figures of each site" in page.text


def test_one_site_or_no_shared_counts_is_no_section(found):
    def shown(results):
        return section(lines(results, from_json(results.plan)), 100)

    assert shown(found) is not None
    one = simulated(sizes={"a": 420})
    assert shown(one) is None
    kept_back = found.model_copy(
        update={
            "candidates": tuple(
                one.model_copy(
                    update={
                        "scores": tuple(s.model_copy(update={"negatives": (), "positives": ()}) for s in one.scores)
                    }
                )
                for one in found.candidates
            )
        }
    )
    assert shown(kept_back) is None
    assert TABLE not in Page(render(kept_back)).tables
