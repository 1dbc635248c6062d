"""The tree is the one drawn, and nothing read from data crosses in an error."""

from __future__ import annotations

import inspect
import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import exceptions
from common.exceptions import DataError, FedwardError

ERRORS = {kind.__name__: kind for kind in FedwardError.__subclasses__() if kind.__module__ == "common.exceptions"}
OPEN = {"PlanError", "ModelError", "PolicyRefusal", "ProtocolError", "QuorumError"}
"""Errors whose whole text may cross: they speak of plans, models, rules, fields and site names."""
SECRET = st.text(st.characters(codec="ascii", categories=["L", "N"]), max_size=20).map(lambda text: f"<<{text}>>")
"""What no constant text contains."""


def build(name: str, text: str, **options: str) -> FedwardError:
    return DataError(text, file="patient") if name == "DataError" else ERRORS[name](text, **options)


def test_the_tree_is_the_one_drawn() -> None:
    drawn = re.findall(r"^[├└]── (\w+) {2,}\S", exceptions.__doc__ or "", flags=re.MULTILINE)
    assert drawn == list(dict.fromkeys(drawn))
    assert set(drawn) == set(ERRORS)
    defined = {
        name for name, kind in inspect.getmembers(exceptions, inspect.isclass) if kind.__module__ == exceptions.__name__
    }
    assert defined == {*drawn, "FedwardError"}


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_an_error_comes_back_whole_from_another_process(name: str) -> None:
    error = build(name, "x", **({} if name == "DataError" else {"public": "y"}))
    back = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (type(back), str(back), back.public, vars(back)) == (type(error), str(error), error.public, vars(error))


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_the_code_fits_the_wire(name: str) -> None:
    error = build(name, "x")
    assert error.code == name
    assert re.fullmatch("[A-Za-z]{1,40}", error.code)


@pytest.mark.parametrize("name", sorted(ERRORS))
@given(text=SECRET)
def test_only_open_errors_publish_their_text(name: str, text: str) -> None:
    error = build(name, text)
    assert text in str(error)
    assert error.public
    assert (text in error.public) == (name in OPEN)


@pytest.mark.parametrize("name", sorted(set(ERRORS) - OPEN - {"DataError"}))
@given(text=SECRET, public=SECRET)
def test_a_public_text_of_its_own_is_used(name: str, text: str, public: str) -> None:
    error = build(name, text, public=public)
    assert error.public == public
    assert str(error) == text


@given(SECRET, SECRET, st.integers(100_000, 10**9), st.none() | st.just("age"))
def test_a_data_error_never_publishes_problem_row_or_fix(problem: str, fix: str, row: int, field: str | None) -> None:
    error = DataError(problem, file="patient", row=row, field=field, fix=fix)
    assert (error.file, error.row, error.field) == ("patient", row, field)
    for detail in (problem, fix, str(row)):
        assert detail in str(error)
        assert detail not in error.public
    assert ("patient" in error.public, "age" in error.public) == (True, field == "age")


def test_a_data_error_by_hand() -> None:
    error = DataError("not a number", file="patient.csv", row=3, field="age", fix="write digits")
    assert str(error) == "patient.csv, row 3, field 'age': not a number; write digits"
    assert error.public == "DataError in table patient.csv, field 'age'"
    assert str(DataError("empty", file="patient.csv")) == "patient.csv: empty"
