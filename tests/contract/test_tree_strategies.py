"""What every aggregation rule promises, whatever it is called."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.exceptions import PlanError
from strategies import base

EVERY = pytest.mark.parametrize("name", base.names(trees=True))
SITES = st.lists(st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True), min_size=1, max_size=9, unique=True).map(
    lambda names: tuple(sorted(names))
)
TREES = st.dictionaries(
    st.sampled_from(["alder", "birch", "cedar", "elm"]), st.lists(st.binary(min_size=1, max_size=4), max_size=4)
)


def test_the_strategies_are_the_modules_of_the_package():
    assert base.names(trees=True) == ("fedxgb_bagging", "fedxgb_cyclic")


@pytest.mark.parametrize("name", ["fedxgb", "base", "rounds", "__init__", "", "os", "rounds.courier"])
def test_an_unknown_name_is_refused_with_the_known_ones(name):
    with pytest.raises(PlanError) as failure:
        base.find(name)
    assert f"unknown strategy '{name}'; known for trees: {', '.join(base.names(trees=True))}" in str(failure.value)


@EVERY
@given(sites=SITES, round_number=st.integers(1, 10_000))
def test_participants_are_some_of_the_sites_each_once(name, sites, round_number):
    chosen = base.find(name).participants(round_number, sites)
    assert chosen
    assert set(chosen) <= set(sites)
    assert len(set(chosen)) == len(chosen)
    assert chosen == base.find(name).participants(round_number, list(sites))


@EVERY
@given(sites=SITES, first=st.integers(1, 1000))
def test_every_site_gets_its_turn_and_none_more_often(name, sites, first):
    rounds = range(first, first + len(sites))
    turns = [site for number in rounds for site in base.find(name).participants(number, sites)]
    assert len({turns.count(site) for site in sites}) == 1
    assert set(turns) == set(sites)


@EVERY
@given(planned=st.floats(1e-6, 1), sites=st.integers(1, 1000))
def test_the_learning_rate_is_positive_and_at_most_as_planned(name, planned, sites):
    scaled = base.find(name).learning_rate(planned, sites)
    assert 0 < scaled <= planned
    assert base.find(name).learning_rate(planned, 1) == planned


@EVERY
@given(trees=TREES)
def test_aggregation_keeps_every_tree_once_and_each_sites_order(name, trees):
    labelled = {site: [b"%s %d " % (site.encode(), i) + t for i, t in enumerate(own)] for site, own in trees.items()}
    merged = base.find(name).aggregate(labelled)
    assert sorted(merged) == sorted(tree for own in labelled.values() for tree in own)
    for own in labelled.values():
        assert [tree for tree in merged if tree in own] == own


@EVERY
@given(trees=TREES, data=st.data())
def test_aggregation_does_not_depend_on_who_answered_first(name, trees, data):
    order = data.draw(st.permutations(list(trees)))
    assert base.find(name).aggregate({site: trees[site] for site in order}) == base.find(name).aggregate(trees)
