"""Which film a row looks at: of its last or first examination, posteroanterior first."""

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
    names = {"A": "AP", "P": "PA", "?": ""}
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
    ("choice", "expected"),
    [("last", [[4], [], [5], []]), ("first", [[1], [], [5], []]), ("all", [[1, 2, 3, 4], [], [5], []])],
)
def test_by_hand(choice: Literal["last", "first", "all"], expected: list[list[int]]) -> None:
    #          row 1 owns four films of three examinations; row 3 one of an unknown time; rows 2 and 4 none
    listed = films("APAP" + "P", [1, 3, 5, 5, NAN], [0, 4, 4, 5], [4, 4, 5, 5])
    assert rows(choose(listed, choice)) == expected


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


@pytest.mark.parametrize("choice", ["last", "first", "all"])
def test_no_film_stays_no_film_and_an_unknown_view_one(choice: Any) -> None:
    assert rows(choose(films("A", [1], [0, 1], [0, 1]), choice)) == [[], []]
    found = choose(films("??", [NAN, NAN], [0, 1], [1, 2]), choice)
    assert rows(found) == [[1], [2]]
    assert found.present.all()


CHOICES = st.sampled_from(["last", "first", "all"])


@given(st.lists(st.tuples(st.sampled_from("AP?"), st.integers(0, 3)), max_size=8), CHOICES, st.data())
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
        own = range(a, b)
        if choice == "all" or not own:
            assert chosen == [i + 1 for i in own]
            continue
        sign = 1 if choice == "last" else -1
        best = max(own, key=lambda i: (sign * listed[i][1], listed[i][0] == "P", sign * i))
        assert chosen == [best + 1]
