"""A plan's file is refused with its name and place where it is not what it should be."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.exceptions import PlanError
from common.plan import from_json, read, shipped

FILE = """
name = "trial"
title = "A trial"
task = "in_hospital_mortality"
seeds = [7]
resampling = "none"
data = { source = "eicu" }
sites = { partition = "region", quorum = 2, deadline_seconds = 30, on_missing = "fail" }
split = { folds = 5 }
stages = [
    { kind = "statistics" },
    { kind = "boosting", strategy = "fedxgb_bagging", rounds = 4 },
    { kind = "evaluate", share = "summary" },
]

[trees]
learning_rate = 0.3
max_depth = 3
l2 = 2
"""


def file_refusal(tmp_path: Path, text: str | bytes) -> str:
    file = tmp_path / "trial.toml"
    file.write_text(FILE)
    assert read(file).split.held_out == (0,)  # control
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(PlanError) as error:
        read(file)
    assert str(file) in str(error.value)
    return str(error.value)


def test_a_file_says_the_same_as_its_json(tmp_path: Path) -> None:
    file = tmp_path / "demo.toml"
    file.write_text(shipped()["demo"])
    assert read(file) == read(str(file)) == read("demo")


def test_an_unknown_key_in_a_file_names_the_file(tmp_path: Path) -> None:
    text = file_refusal(tmp_path, FILE.replace("folds = 5", "folds = 5, fold = 3"))
    assert "unknown key 'split.fold'; allowed here: folds, held_out" in text


@pytest.mark.parametrize("value", ["nan", "-inf", "inf", "1e999", "2026-01-01", "08:30:00", "9223372036854775808"])
def test_what_json_cannot_say_names_file_and_key(tmp_path: Path, value: str) -> None:
    text = file_refusal(tmp_path, FILE.replace("l2 = 2", f"l2 = {value}"))
    assert "key 'trees.l2'" in text


def test_a_date_in_a_list_of_tables_names_its_key(tmp_path: Path) -> None:
    text = file_refusal(tmp_path, FILE.replace("rounds = 4", "rounds = 2026-01-01"))
    assert "key 'stages.1.rounds'" in text


@pytest.mark.parametrize("text", ['name = "demo', "name = 1\nname = 2", "seed = " + "9" * 5000, "a = " + "[" * 5000])
def test_what_is_not_toml_is_refused(tmp_path: Path, text: str) -> None:
    assert "not TOML" in file_refusal(tmp_path, text)


@pytest.mark.parametrize("text", [b"name = \xff", FILE.encode("utf-16")])
def test_what_is_not_utf_8_is_refused_with_its_place(tmp_path: Path, text: bytes) -> None:
    assert f"not UTF-8 text (byte {text.index(0xFF)})" in file_refusal(tmp_path, text)


@pytest.mark.parametrize("text", ["", "[", "[]", "null", '"demo"', '{"name": 1, "name": 2}', "[" * 5000])
def test_what_is_no_json_object_is_refused(text: str) -> None:
    with pytest.raises(PlanError, match=r"\Aplan received: "):
        from_json(text)


def test_a_repeated_key_is_no_plan_however_good_its_last_value() -> None:
    text = read("demo").to_json()
    assert from_json(text).name == "demo"
    with pytest.raises(PlanError, match="duplicate key"):
        from_json(text.replace('"name":"demo"', '"name":"other","name":"demo"'))


@pytest.mark.parametrize("source", ["no-such-plan", "plans/demo.toml"])
def test_no_such_file_lists_the_shipped_plans(source: str) -> None:
    with pytest.raises(PlanError, match=rf"no plan '{source}'.*demo, eicu-mortality"):
        read(source)


def test_a_folder_is_no_plan(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="no plan"):
        read(tmp_path)
