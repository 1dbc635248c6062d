"""No small count can be worked out from what is shown: tried on every table up to 60 rows, and by linear algebra."""

from __future__ import annotations

import itertools
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from common.disclosure import (
    WITH_NEXT,
    WITH_PREVIOUS,
    ClassCounts,
    class_counts,
    has_spread,
    runs,
    significant,
    suppress,
    tells_small,
    withhold,
)

LARGEST = 60


def labels(total, positives):
    return (np.arange(total) < positives).astype(np.int8)


def counted(total, positives, minimum=11):
    """Everybody has one row."""
    return class_counts(labels(total, positives), np.arange(total), minimum)


def derivable_small_counts(release, minimum):
    """List the tables whose release betrays a count below the minimum.

    An adversary who knows the rule keeps every table that would have been released so; a
    count on which all of these agree is betrayed.
    """
    worlds = defaultdict(list)
    for total in range(LARGEST + 1):
        for positives in range(total + 1):
            worlds[release(total, positives)].append((total, positives, total - positives))
    return [
        tables[0]
        for tables in worlds.values()
        if any(len(set(counts)) == 1 and 0 < counts[0] < minimum for counts in zip(*tables, strict=True))
    ]


@pytest.mark.parametrize("minimum", [3, 5, 11])
def test_nothing_small_is_derivable(minimum):
    assert derivable_small_counts(lambda n, p: counted(n, p, minimum), minimum) == []


def test_hiding_the_small_cell_alone_is_caught():
    naive = derivable_small_counts(lambda n, p: ClassCounts(suppress(n), suppress(p)), 11)
    assert (15, 12, 3) in naive


def test_shown_and_withheld_by_hand():
    assert counted(40, 15) == ClassCounts(40, 15)
    assert counted(40, 0) == ClassCounts(40, 0)
    assert counted(40, 40) == ClassCounts(40, 40)
    assert counted(40, 10) == ClassCounts(40, None)
    assert counted(40, 30) == ClassCounts(40, None)
    assert counted(40, 29) == ClassCounts(40, 29)
    assert counted(10, 0) == ClassCounts(None, None)
    assert counted(0, 0) == ClassCounts(0, 0)


def test_a_class_of_few_people_is_small_however_many_rows_they_have():
    """Twenty rows of either class: of twelve people each, of ten among the positives, of ten in all."""
    people = np.arange(40) % 12
    assert class_counts(labels(40, 20), people) == ClassCounts(40, 20)
    assert class_counts(labels(40, 20), np.where(labels(40, 20) == 1, np.arange(40) % 10, people)) == ClassCounts(
        40, None
    )
    assert class_counts(labels(40, 20), np.where(labels(40, 20) == 0, np.arange(40) % 10, people)) == ClassCounts(
        40, None
    )
    assert class_counts(labels(40, 20), np.arange(40) % 10) == ClassCounts(None, None)
    assert class_counts(labels(40, 0), np.array([f"P-{k % 11}" for k in range(40)])) == ClassCounts(40, 0)


def test_suppress_hides_one_to_ten():
    assert [count for count in range(30) if suppress(count) is None] == list(range(1, 11))
    assert suppress(11) == 11


@pytest.mark.parametrize(("count", "minimum"), [(-1, 11), (5, 2), (5, 0)])
def test_senseless_rules_are_refused(count, minimum):
    with pytest.raises(ValueError, match="minimum"):
        suppress(count, minimum)


# Tables


def test_tables_by_hand():
    assert withhold([0, 30, 0, 12]) == [0, 30, 0, 12]
    assert withhold([4, 0, 20, 0, 15, 30, 3]) == [-1, -1, 24, 0, 15, 33, -2]
    assert withhold([5, 1195]) == [-1, 1200]
    assert withhold([0, 1195, 5]) == [0, 1200, -2]
    assert withhold([30, 0, 0, 7, 0]) == [37, -2, -2, -2, -2]
    assert withhold([90, 11, 0, 4]) == [90, -1, -1, 15]  # 15 in the cell of the 11 would be 11 or more and 4 or less
    assert withhold([90, 17, 0, 4]) == [90, 21, -2, -2]
    assert withhold([0, 0]) == [0, 0]
    with pytest.raises(ValueError, match="small count"):
        withhold([3, 4])


def test_a_cell_is_small_when_few_people_are_in_it():
    """Twenty rows a cell, of 20, 4, 3 and 20 people; nobody is in two cells but for one who is in the middle two."""
    owners = [range(100, 120), [1, 2, 3, 4], [4, 5, 6], range(200, 220)]

    def people(first, last):
        return len({person for cell in owners[first : last + 1] for person in cell})

    assert withhold([20] * 4, 11, people) == [20, -1, -1, 60]
    assert withhold([20] * 3, 11, lambda first, last: people(first, last)) == [60, -2, -2]
    assert withhold([20] * 3, 5, people) == [20, -1, 40]


def worlds_by_release(release, minimum, cells, largest):
    """Every table with cells below the largest, by what is told of it."""
    found = defaultdict(list)
    for table in itertools.product(range(largest), repeat=cells):
        if suppress(sum(table), minimum) is not None:
            found[tuple(release(table, minimum))].append(table)
    return found


def fewest_values(release, minimum, cells, largest):
    """How few values a small cell may have for a reader who knows the rule; the tables beyond `largest` left aside."""
    fewest = largest
    for told, tables in worlds_by_release(release, minimum, cells, largest).items():
        if max(told) < largest:  # else some tables that are told so are not here
            for position in range(cells):
                values = {table[position] for table in tables}
                if any(0 < value < minimum for value in values):
                    fewest = min(fewest, len(values))
    return fewest


@pytest.mark.parametrize(("minimum", "cells", "largest"), [(11, 2, 50), (11, 3, 26), (4, 4, 10), (3, 5, 7)])
def test_a_reader_who_knows_the_rule_finds_no_cell(minimum, cells, largest):
    assert fewest_values(withhold, minimum, cells, largest) >= minimum - 1


def primary_only(table, minimum):
    return [count if suppress(count, minimum) is not None else -1 for count in table]


def smallest_neighbour(table, minimum):
    """Hide the small cells and, if it is one, the smallest other: what is usually meant by complementary."""
    told = primary_only(table, minimum)
    if told.count(-1) == 1:
        told[min((count, place) for place, count in enumerate(table) if told[place] > 0)[1]] = -1
    return told


def test_simpler_rules_are_caught():
    for rule in (primary_only, smallest_neighbour):
        told = lambda table, minimum, rule=rule: [*rule(table, minimum), sum(table)]  # noqa: E731
        worlds = worlds_by_release(told, 4, 3, 12)
        assert any(
            len(values) == 1 and 0 < min(values) < 4
            for tables in worlds.values()
            for values in map(set, zip(*tables, strict=True))
        )


tables = st.lists(st.one_of(st.integers(0, 3), st.integers(0, 40), st.just(0)), min_size=1, max_size=8)


@settings(max_examples=60)
@given(tables, st.integers(3, 11))
def test_what_is_told_leaves_every_hidden_cell_open(table, minimum):
    """Linear programming over all that is shown: the sums of runs, the total, and that counts are not negative."""
    if suppress(sum(table), minimum) is None:
        return
    told = withhold(table, minimum)
    shown = runs(told)
    equations = [[run.first <= place <= run.last for place in range(len(told))] for run in shown] + [[1] * len(told)]
    values = [run.total for run in shown] + [sum(table)]
    assert all(np.dot(row, table) == value for row, value in zip(equations, values, strict=True))  # all of it is true
    for run in shown:
        for place in range(run.first, run.last + 1):
            ends = [
                sign * linprog([sign * (k == place) for k in range(len(told))], A_eq=equations, b_eq=values).fun
                for sign in (1, -1)
            ]
            if run.first == run.last:
                assert suppress(table[place], minimum) is not None
            else:
                assert ends[1] - ends[0] >= minimum - 1e-6


@given(tables, st.integers(3, 11))
def test_sums_of_what_is_told_are_never_small(table, minimum):
    if suppress(sum(table), minimum) is None:
        return
    told = withhold(table, minimum)
    totals = [run.total for run in runs(told)]
    assert sum(totals) == sum(table)
    assert not tells_small(told, minimum)
    assert [count for count in told if count >= 0] == totals
    if all(suppress(count, minimum) is not None for count in table):
        assert told == table


@pytest.mark.parametrize("told", [[-1], [5, -1], [-2], [0, -2], [-2, 5], [20, -2, 5], [20, -2, -1], [-3], [20, -1, -2]])
def test_what_withhold_cannot_have_told_is_refused(told):
    with pytest.raises(ValueError, match="told together"):
        runs(told)


def test_a_small_sum_is_seen():
    assert not tells_small([0, 11, 21, WITH_PREVIOUS], 11)
    for told in ([5], [WITH_NEXT, 10], [20, WITH_PREVIOUS], [0, 1]):
        assert tells_small(told, 11)


def test_spread_is_two_groups_of_known_values():
    assert has_spread([0, 20, 11])
    assert has_spread([-1, 30, 11])
    assert not has_spread([30, 20, 0])
    assert not has_spread([0, 40, -2])
    assert not has_spread([40, -2, -2])


@pytest.mark.parametrize(("value", "rounded"), [(0.0, 0.0), (1234.5, 1230.0), (-0.012345, -0.0123), (9.996, 10.0)])
def test_three_significant_digits(value, rounded):
    assert significant(value) == rounded
