"""Replies about several labels, taken apart again; what is withheld of one says nothing of another."""

from __future__ import annotations

import pytest

from common.messages import SCORE_BINS, EvaluateReply
from common.metrics import METRICS
from server.averaging import macro
from server.results import OVERALL
from server.stages.evaluate import Contender, NetworkContender, candidates, hearings

LABELS = ("copd", "asthma", "sarcoidosis")


def reply(labels, withheld, names, start):
    """Give every candidate and label told an AUROC of its own: start, start + 0.01, ..., and two patients."""
    told = (len(labels) - len(withheld)) * len(names)
    values = [start + place / 100 for place in range(told)]
    figures = {metric: [value for each in values for value in (each, each, each)] for metric in METRICS}
    negatives = [int(bin_ == place) for place in range(told) for bin_ in range(SCORE_BINS)]
    positives = [int(bin_ == place + 1) for place in range(told) for bin_ in range(SCORE_BINS)]
    return EvaluateReply(
        labels=list(labels), withheld=list(withheld), candidates=list(names), references=[], references_withheld=[],
        **figures, negatives=negatives, positives=positives,
    )  # fmt: skip


@pytest.fixture(scope="module")
def found():
    """Two sites with trees of each label and one network of all; site b may tell nothing of asthma."""
    heard = [
        {
            "a": reply([label], [], ["trees"], 0.6 + place / 10),
            "b": reply([label], ["asthma"] if label == "asthma" else [], ["trees"], 0.5),
        }
        for place, label in enumerate(LABELS)
    ]
    heard.append({"a": reply(LABELS, [], ["film"], 0.7), "b": reply(LABELS, ["asthma"], ["film"], 0.8)})
    return candidates({7: heard}, LABELS, ["trees", "film"], 100)


def at(found, name, label, site):
    (one,) = [each for each in found if (each.name, each.label) == (name, label)]
    (score,) = [each for each in one.scores if each.site == site]
    return score


def test_every_label_has_its_own_figures_and_counts(found):
    assert [(one.label, one.name) for one in found] == [(label, name) for label in LABELS for name in ("trees", "film")]
    assert [at(found, "film", label, "a").auroc.value for label in LABELS] == [0.7, 0.71, 0.72]
    assert [at(found, "trees", label, "a").auroc.value for label in LABELS] == pytest.approx([0.6, 0.7, 0.8])
    for place, label in enumerate(LABELS):
        assert at(found, "film", label, "a").negatives.index(1) == place


def test_what_is_withheld_of_one_label_moves_no_other(found):
    assert at(found, "film", "asthma", "b").auroc is None
    assert at(found, "film", "asthma", "b").positives == ()
    assert [at(found, "film", label, "b").auroc.value for label in ("copd", "sarcoidosis")] == [0.8, 0.81]
    assert at(found, "film", "sarcoidosis", "b").negatives.index(1) == 1
    assert sum(at(found, "film", "asthma", OVERALL).positives) == 1  # of site a alone
    assert sum(at(found, "film", "copd", OVERALL).positives) == 2


def test_all_sites_together_are_the_same_for_every_model():
    """A site that left after the trees were heard is not counted for them alone: figures would not compare."""
    trees = {site: reply(["copd"], [], ["trees", "local/a"], start) for site, start in (("a", 0.6), ("b", 0.7))}
    network = {"a": reply(LABELS, [], ["film"], 0.8)}
    found = candidates({7: [trees, network]}, LABELS, ["trees", "film"], 100)
    assert at(found, "trees", "copd", "b").auroc.value == 0.7
    for name in ("trees", "local/a", "film"):
        assert sum(at(found, name, "copd", OVERALL).positives) == 1
    later = candidates({7: [trees, network], 8: [trees]}, LABELS, ["trees", "film"], 100)
    (score,) = [s for one in later if one.name == "trees" for s in one.scores if (s.seed, s.site) == (8, OVERALL)]
    assert sum(score.positives) == 2  # no network was heard with that seed


def test_means_by_hand(found):
    means = {(one.name, one.site): one for one in macro(found)}
    assert (means["film", "a"].auroc, means["film", "a"].over) == (pytest.approx(0.71), 3)
    assert (means["film", "b"].auroc, means["film", "b"].over) == (pytest.approx(0.805), 2)
    assert means["trees", OVERALL].over == 3
    assert macro([one for one in found if one.label == "copd"]) == ()  # of one label there is no mean


def test_trees_are_heard_label_by_label_and_networks_at_once_unless_an_ensemble_needs_both():
    trees, network = Contender("trees", (), "trees"), NetworkContender("film", (), "nothing")
    several = hearings({"copd": [trees], "asthma": [trees], "sarcoidosis": []}, [network], at_once=False)
    assert [(one.labels, len(one.trees), len(one.networks)) for one in several] == [
        (("copd",), 1, 0), (("asthma",), 1, 0), (LABELS, 0, 1),
    ]  # fmt: skip
    (only,) = hearings({"death": [trees]}, [network], at_once=False)
    assert (only.labels, len(only.trees), len(only.networks)) == (("death",), 1, 1)
    both = hearings({"copd": [trees], "sarcoidosis": []}, [network], at_once=True)
    assert [(one.labels, len(one.trees), len(one.networks)) for one in both] == [
        (("copd",), 1, 1), (("sarcoidosis",), 0, 1),
    ]  # fmt: skip
