"""Training on few positives: what resampling falls back to, and that no copy counts as a patient."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from client.handlers.boost import grow_alone, grow_global
from client.preprocessing import splits
from client.preprocessing.table import Table
from common.boosting.model import Model
from common.messages import BoostReply, LocalReply
from common.payload import Payload, Refusal
from tests.client.handlers.asking import relabel


def with_positives(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Leave that many deaths in the training fold, and none among the held-out patients."""

    def positive(table: Table) -> NDArray[np.bool_]:
        training = splits.fold_of(table.patients, seed=7, folds=2) != 0
        return np.asarray(training & (np.cumsum(training) <= number))

    relabel(monkeypatch, positive)


NOTES = {
    ("none", 1): None,
    ("none", 3): None,
    ("random_over", 1): None,
    ("random_over", 3): None,
    ("smote", 1): "resampling: SMOTE needs two rows of a class, random_over used instead",
    ("smote", 3): "resampling: SMOTE used 2 instead of 5 neighbours",
}


def ask_both(ward: Any) -> list[Payload]:
    return [ward.ask(ward.boost(Model(ward.header())), grow_global), ward.ask(ward.local(), grow_alone)]


@pytest.fixture
def few(open_ward: Any, monkeypatch: pytest.MonkeyPatch, plan_with: Any) -> Callable[[str, int], Any]:
    """Open a site with few positives whose plan resamples in some way."""

    def open_(resampling: str, positives: int) -> Any:
        with_positives(monkeypatch, positives)
        return open_ward(follow=plan_with(resampling=resampling))

    return open_


@pytest.mark.parametrize("resampling", ["none", "random_over", "smote"])
def test_no_positive_at_all_is_refused_without_a_count(few: Any, resampling: str) -> None:
    ward = few(resampling, 0)
    for reply in ask_both(ward):
        assert reply == Refusal(code="ResamplingError", reason="the training fold is empty or holds one class only")
    assert "decision" not in ward.kinds


@pytest.mark.parametrize(("resampling", "positives"), NOTES)
def test_few_positives_train_and_a_fallback_is_in_the_sites_log_only(few: Any, resampling: str, positives: int) -> None:
    ward = few(resampling, positives)
    boosted, alone = ask_both(ward)
    assert isinstance(boosted, BoostReply)
    assert isinstance(alone, LocalReply)
    decisions = [entry.event.details["decision"] for entry in ward.entries if entry.event.kind == "decision"]
    assert decisions == [note for note in [NOTES[resampling, positives]] if note]
    fold = ward.site.fold(ward.plan, "fedxgb_bagging", "death", 7, 0)
    added = fold.labels[fold.original :]
    assert fold.labels[: fold.original].sum() == positives
    assert len(added) == (0 if resampling == "none" else fold.original - 2 * positives)
    assert added.all()
    assert fold.held_out.labels.sum() == 0


def test_the_loss_told_is_of_real_patients_not_of_copies(few: Any) -> None:
    ward = few("random_over", 12)
    reply = ask_both(ward)[0]
    assert isinstance(reply, BoostReply)
    rows = ward.site.fold(ward.plan, "fedxgb_bagging", "death", 7, 0).original
    by_hand = -(12 * np.log(0.125) + (rows - 12) * np.log(0.875)) / rows
    assert reply.training_loss == pytest.approx(by_hand, abs=5.1e-4)
    assert reply.held_out_loss == pytest.approx(-np.log(0.875), abs=5.1e-4)
    assert len(ward.site.fold(ward.plan, "fedxgb_bagging", "death", 7, 0).labels) > rows  # control: there are copies


def test_an_unknown_resampler_is_refused(few: Any) -> None:
    for reply in ask_both(few("adasyn", 3)):
        assert isinstance(reply, Refusal)
        assert reply.code == "ConfigurationError"
        assert not re.search("/", reply.reason)
