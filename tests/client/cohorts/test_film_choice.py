"""Which film a row looks at: frontal, posteroanterior first, of the last or first examination."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.cohorts.films import choose
from client.cohorts.modalities import Films

NAN = float("nan")


def films(views: str, times: list[float], first: list[int], last: list[int]) -> Films:
    names = {"A": "AP", "P": "PA", "L": "LATERAL", "?": ""}
    n = len(times)
    return Films(
        first=np.array(first, np.int64),
        last=np.array(last, np.int64),
        path=np.array([f"film-{i}" for i in range(n)], dtype="U9"),
        view=np.array([names[view] for view in views], dtype="U7"),
        time=np.array(times, dtype=np.float64),
        row=np.arange(n) + 1,
    )


def rows(found: Films) -> list[list[int]]:
    """Row numbers of the films each entry has."""
    return [found.row[a:b].tolist() for a, b in zip(found.first, found.last, strict=True)]


@pytest.mark.parametrize(
    ("choice", "expected"), [("last", [[5], [], [7], []]), ("first", [[1], [], [7], []]), ("all", None)]
)
def test_by_hand(choice: Literal["last", "first", "all"], expected: Any) -> None:
    #          row 1 owns five films of three examinations; rows 2 to 4 lateral, two of an unknown time, none
    listed = films("ALPAPL" + "P?", [1, 2, 3, 5, 5, 6, NAN, NAN], [0, 5, 6, 7], [6, 6, 7, 8])
    every = [[1, 3, 4, 5], [], [7], []]
    assert rows(choose(listed, choice)) == (every if expected is None else expected)


def test_posteroanterior_goes_first_wherever_it_is_listed() -> None:
    for views, expected in (("PAA", 1), ("APA", 2), ("AAP", 3)):
        assert rows(choose(films(views, [4, 4, 4], [0], [3]), "last")) == [[expected]]
        assert rows(choose(films(views, [4, 4, 4], [0], [3]), "first")) == [[expected]]
    assert rows(choose(films("AAA", [4, 4, 4], [0], [3]), "last")) == [[3]]
    assert rows(choose(films("AAA", [4, 4, 4], [0], [3]), "first")) == [[1]]


def test_an_examination_ends_where_the_row_s_films_do() -> None:
    listed = films("PAAP", [1, 1, 1, 1], [1, 0], [3, 4])
    assert rows(choose(listed, "last")) == [[3], [4]]
    assert rows(choose(listed, "first")) == [[2], [1]]


def test_nothing_frontal_is_no_film() -> None:
    found = choose(films("L?", [1, 2], [0, 0], [2, 0]), "last")
    assert rows(found) == [[], []]
    assert found.present.tolist() == [False, False]


CHOICES = st.sampled_from(["last", "first", "all"])


@given(st.lists(st.tuples(st.sampled_from("APL?"), st.integers(0, 3)), max_size=8), CHOICES, st.data())
def test_against_a_search(listed: list[tuple[str, int]], choice: Any, data: Any) -> None:
    listed.sort(key=lambda film: film[1])
    bounds = [sorted(data.draw(st.tuples(*[st.integers(0, len(listed))] * 2))) for _ in range(3)]
    found = choose(
        films(
            "".join(view for view, _ in listed),
            [float(time) for _, time in listed],
            [a for a, _ in bounds],
            [b for _, b in bounds],
        ),
        choice,
    )
    for (a, b), chosen in zip(bounds, rows(found), strict=True):
        frontal = [i for i in range(a, b) if listed[i][0] in "AP"]
        if choice == "all" or not frontal:
            assert chosen == [i + 1 for i in frontal]
            continue
        sign = 1 if choice == "last" else -1
        best = max(frontal, key=lambda i: (sign * listed[i][1], listed[i][0] == "P", sign * i))
        assert chosen == [best + 1]
