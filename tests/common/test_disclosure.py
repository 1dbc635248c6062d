"""No small count can be worked out from what is shown: tried on every table up to 60 rows."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from common.disclosure import ClassCounts, class_counts, suppress

LARGEST = 60


def labels(total, positives):
    return (np.arange(total) < positives).astype(np.int8)


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
    assert derivable_small_counts(lambda n, p: class_counts(labels(n, p), minimum), minimum) == []


def test_hiding_the_small_cell_alone_is_caught():
    naive = derivable_small_counts(lambda n, p: ClassCounts(suppress(n), suppress(p)), 11)
    assert (15, 12, 3) in naive


def test_shown_and_withheld_by_hand():
    assert class_counts(labels(40, 15)) == ClassCounts(40, 15)
    assert class_counts(labels(40, 0)) == ClassCounts(40, 0)
    assert class_counts(labels(40, 40)) == ClassCounts(40, 40)
    assert class_counts(labels(40, 10)) == ClassCounts(40, None)
    assert class_counts(labels(40, 30)) == ClassCounts(40, None)
    assert class_counts(labels(40, 29)) == ClassCounts(40, 29)
    assert class_counts(labels(10, 0)) == ClassCounts(None, None)
    assert class_counts(labels(0, 0)) == ClassCounts(0, 0)


def test_suppress_hides_one_to_ten():
    assert [count for count in range(30) if suppress(count) is None] == list(range(1, 11))
    assert suppress(11) == 11


@pytest.mark.parametrize(("count", "minimum"), [(-1, 11), (5, 2), (5, 0)])
def test_senseless_rules_are_refused(count, minimum):
    with pytest.raises(ValueError, match="minimum"):
        suppress(count, minimum)
