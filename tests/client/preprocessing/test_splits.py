"""Folds follow the person: stable, even, and checked before use."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.preprocessing.splits import Split, assert_disjoint, fold_of, split
from common.exceptions import DataError, PlanError

identifiers = st.lists(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1), min_size=1)


def persons(*names):
    return np.array(names, dtype=np.str_)


def test_fold_is_the_keyed_hash():
    message = b"".join(len(part).to_bytes(4, "big") + part for part in (b"7", b"fold", b"anna"))
    expected = (int.from_bytes(hashlib.sha256(message).digest()[:8], "big") >> 1) % 5
    assert fold_of(persons("anna"), seed=7, folds=5).tolist() == [expected]


@given(identifiers, identifiers, st.integers(0, 2**31), st.integers(2, 10))
def test_adding_patients_moves_nobody(old, new, seed, folds):
    before = fold_of(persons(*old), seed=seed, folds=folds)
    after = fold_of(persons(*old, *new), seed=seed, folds=folds)
    assert (after[: len(old)] == before).all()
    assert ((before >= 0) & (before < folds)).all()
    assert before.dtype == np.int64


@given(identifiers, st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter(names, random):
    order = list(range(len(names)))
    random.shuffle(order)
    patients = persons(*names)
    assert (fold_of(patients[order], seed=1, folds=5) == fold_of(patients, seed=1, folds=5)[order]).all()


@given(identifiers, identifiers, st.integers(2, 6))
def test_sites_never_disagree_about_a_person(here, there, folds):
    one, other = (split(persons(*names), seed=3, folds=folds, held_out=0) for names in (here, there))
    trained = set(persons(*here)[one.train]) | set(persons(*there)[other.train])
    judged = set(persons(*here)[one.held_out]) | set(persons(*there)[other.held_out])
    assert not trained & judged
    assert_disjoint(persons(*here), one)


def test_folds_are_even_and_change_with_the_seed():
    patients = persons(*(f"p{i:05d}" for i in range(20_000)))
    folds = fold_of(patients, seed=11, folds=5)
    observed = np.bincount(folds, minlength=5)
    # Chi-square with 4 degrees of freedom exceeds 23.5 once in ten thousand seeds.
    assert ((observed - 4000) ** 2 / 4000).sum() < 23.5
    agreement = (folds == fold_of(patients, seed=12, folds=5)).mean()
    assert agreement == pytest.approx(0.2, abs=0.02)


@pytest.mark.parametrize("positive", [0.02, 0.1, 0.5])
def test_every_fold_has_its_share_of_any_label(positive):
    """Stratified in expectation: the counts scatter as if each person had drawn a fold, and no more."""
    patients = persons(*(f"p{i:05d}" for i in range(20_000)))
    labels = np.random.default_rng(5).random(20_000) < positive
    folds = fold_of(patients, seed=11, folds=5)
    for label in (labels, ~labels):
        observed, expected = np.bincount(folds[label], minlength=5), label.sum() / 5
        assert ((observed - expected) ** 2 / expected).sum() < 23.5  # as above


def test_a_persons_fold_does_not_follow_the_label_the_modality_or_the_site():
    """One person with films at one site and stays at another, ill here and well there, is held out at both."""
    films, stays = persons("anna", "anna", "bela", "cleo"), persons("dora", "cleo", "anna", "anna", "anna")
    for held_out in range(3):
        masks = [split(patients, seed=4, folds=3, held_out=held_out) for patients in (films, stays)]
        together = Split(
            *(np.concatenate(sides) for sides in zip(*((m.train, m.held_out) for m in masks), strict=True))
        )
        assert_disjoint(np.concatenate([films, stays]), together)


def test_sites_that_do_not_share_the_seed_are_caught():
    """Control for the test above: two seeds part a person's rows between the sites."""
    patients = persons(*(f"p{i}" for i in range(50)))
    one, other = (split(patients, seed=seed, folds=5, held_out=0) for seed in (1, 2))
    together = Split(np.concatenate([one.train, other.train]), np.concatenate([one.held_out, other.held_out]))
    with pytest.raises(DataError, match="not on exactly one side"):
        assert_disjoint(np.concatenate([patients, patients]), together)


def test_a_split_by_stay_is_caught_without_naming_the_patient():
    patients = persons("anna", "bela", "anna", "cleo")
    train = np.array([True, False, False, True])
    with pytest.raises(DataError, match="row 1") as refusal:
        assert_disjoint(patients, Split(train, ~train))
    assert "anna" not in str(refusal.value) + refusal.value.public
    train[2] = True
    assert_disjoint(patients, Split(train, ~train))


@pytest.mark.parametrize("train", [[True, True], [False, False]])
def test_a_row_on_both_sides_or_none_is_caught(train):
    with pytest.raises(DataError, match="row 2"):
        assert_disjoint(persons("anna", "bela"), Split(np.array([True, train[1]]), np.array([False, train[0]])))


def test_masks_of_another_cohort_are_caught():
    with pytest.raises(DataError, match="number of rows"):
        assert_disjoint(persons("anna", "bela"), Split(np.array([True]), np.array([False])))


@pytest.mark.parametrize("blank", ["", "  ", "\t"])
def test_a_blank_identifier_is_refused_with_its_row(blank):
    with pytest.raises(DataError, match=r"row 2, field 'patients'"):
        fold_of(persons("anna", blank), seed=1, folds=5)


@pytest.mark.parametrize(("folds", "held_out"), [(1, 0), (0, 0), (5, 5), (5, -1)])
def test_senseless_folds_are_refused(folds, held_out):
    with pytest.raises(PlanError):
        split(persons("anna"), seed=1, folds=folds, held_out=held_out)
