"""The answer in words, on figures set by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from server.report.answer import answer
from server.report.page import _figures
from server.report.summary import Line
from server.results import Interval


# The answer in words, on figures set by hand.
def line(kind: str, label: str, values: dict[str, float | None], width: float = 0.02) -> Line:
    figures = {
        (site, "auroc"): v if v is None else Interval(value=v, low=v - width, high=v + width)
        for site, v in values.items()
    }
    return Line(label, label, kind, "#000", "o", "-", figures, None)


def said(*shown: Line, synthetic: tuple[str, ...] = ()):
    return answer(shown, ("a", "b", "c"), synthetic)


def test_answer_when_federation_helps():
    found = said(
        line("federated", "Federated bagging", {"a": 0.81, "b": 0.82, "c": 0.75, "overall": 0.8}),
        line("federated", "Federated cyclic", {"a": 0.9, "b": 0.9, "c": 0.9, "overall": 0.79}),
        line("local", "Own local model", {"a": 0.7, "b": 0.81, "c": 0.76}),
        line("ensemble", "Mean of local models", {"overall": 0.78}),
        line("pooled", "Pooled training", {"overall": 0.84}),
    )
    assert found.headline == "Federation helped at 2 of 3 sites."
    assert found.sentences == (
        "Over all held-out patients, federated bagging reaches AUROC 0.800 (0.780–0.820); federated cyclic 0.790 "
        "(0.770–0.810); the mean of the local models 0.780 (0.760–0.800); pooling all rows in one place 0.840 "
        "(0.820–0.860).",
        "On its own patients, a site's own model reaches 0.700–0.810, federated bagging 0.750–0.820: training together "
        "is better at 2 of 3; at 1 of them the two intervals do not overlap.",
        "Averaging the predictions of the local models, which takes no training together, is not clearly worse: the "
        "intervals overlap.",
    )


def test_what_no_site_has_of_its_own_does_not_hide_whether_federation_helped():
    """An ensemble of two stages of trees leads; the sites' own trees stand beside the better of these."""
    shown = (
        replace(line("federated", "Federated both", {"a": 0.9, "b": 0.9, "c": 0.9, "overall": 0.82}), family="both"),
        line("federated", "Federated cyclic", {"a": 0.6, "b": 0.6, "c": 0.6, "overall": 0.79}),
        line("federated", "Federated bagging", {"a": 0.81, "b": 0.82, "c": 0.75, "overall": 0.8}),
        line("local", "Own local model", {"a": 0.7, "b": 0.81, "c": 0.76}),
        line("ensemble", "Mean of local models", {"overall": 0.81}),
    )
    found = said(*shown)
    assert found.headline == "Federation helped at 2 of 3 sites."  # and the mean is not above the best of all
    assert "federated bagging 0.750–0.820: training together is better at 2 of 3" in found.sentences[1]
    assert found.sentences[0].startswith("Over all held-out patients, federated both reaches AUROC 0.820")
    notes = {tile.heading: tile.cells[0].note for tile in _figures(shown, ("a", "b", "c"))}
    assert notes["AUROC, federated both"] == "0.800–0.840"
    assert notes["sites better off than alone"] == "Federated bagging"


@pytest.mark.parametrize(("ensemble", "doubt"), [(0.83, True), (0.9, False)])
def test_answer_says_when_averaging_does_better(ensemble, doubt):
    found = said(
        line("federated", "Federated bagging", {"a": 0.81, "b": 0.82, "c": 0.83, "overall": 0.8}),
        line("local", "Own local model", {"a": 0.8, "b": 0.81, "c": 0.82}),
        line("ensemble", "Mean of local models", {"overall": ensemble}),
    )
    assert found.headline == "Federation helped at all 3 sites, yet simply averaging the local models does better."
    assert f"{ensemble:.3f} against 0.800." in found.sentences[-1]
    assert ("The intervals overlap" in found.sentences[-1]) is doubt


def test_answer_leaves_averaging_alone_when_it_is_clearly_worse():
    found = said(
        line("federated", "Federated bagging", {"a": 0.8, "overall": 0.8}),
        line("local", "Own local model", {"a": 0.7}),
        line("ensemble", "Mean of local models", {"overall": 0.75}),
    )
    assert not any("Averaging" in sentence for sentence in found.sentences)


def test_answer_when_federation_does_not_help():
    found = said(
        line("federated", "Federated bagging", {"a": 0.7, "b": 0.7, "c": 0.70049, "overall": 0.7}),
        line("local", "Own local model", {"a": 0.8, "b": 0.81, "c": 0.70010}),
    )
    assert found.headline == "Federation did not help at any of the 3 sites."
    assert found.sentences[-1].endswith("training together is better nowhere.")


def test_answer_says_only_when_few_sites_gain_and_names_who_is_not_counted():
    found = said(
        line("federated", "Federated bagging", {"a": 0.7, "b": 0.75, "c": None, "overall": 0.7}),
        line("local", "Own local model", {"a": 0.8, "b": 0.74, "c": None}),
        synthetic=("a", "b", "c"),
    )
    assert found.headline == "Federation helped at 1 of 2 sites."
    assert "Not counted, because figures are withheld or missing: c." in found.sentences
    assert found.sentences[-1] == "The patients are synthetic: the figures say nothing about real ones."


def test_answer_says_which_sites_are_synthetic():
    known = line("federated", "Federated bagging", {"a": 0.7, "overall": 0.7})
    assert "Patients of b, c are synthetic" in said(known, synthetic=("b", "c")).sentences[-1]
    assert not any("synthetic" in sentence for sentence in said(known).sentences)
