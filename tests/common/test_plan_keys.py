"""Every table of a plan tells its own keys when one is misspelt, those of networks and their privacy too."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from common.exceptions import PlanError
from common.plan import Plan, from_json, shipped
from common.serialization import canonical

Tree = dict[str, Any]
PLANS = {name: tomllib.loads(text) for name, text in shipped().items()}


def refusal(document: Tree) -> str:
    with pytest.raises(PlanError) as error:
        from_json(canonical(document).decode())
    return str(error.value)


def tables(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Yield a model and all that its fields hold, however deep."""
    yield model
    waiting: list[Any] = [field.annotation for field in model.model_fields.values()]
    while waiting:
        kind = waiting.pop()
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from tables(kind)
        waiting += get_args(kind)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where a plan's tables are."""
    if isinstance(value, dict):
        yield path
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(item, dict | list):
            yield from places(item, (*path, key))


def told_keys(document: Tree, path: tuple[Any, ...]) -> frozenset[str]:
    """Misspell a key in a table; return the keys that are said to be allowed there."""
    spoilt = copy.deepcopy(document)
    table: Any = spoilt
    for key in path:
        table = table[key]
    table["misspelt"] = 1
    (line,) = [one for one in refusal(spoilt).splitlines() if "misspelt'; allowed here: " in one]
    return frozenset(line.rpartition("allowed here: ")[2].split(", "))


def test_a_misspelt_key_is_told_with_the_keys_of_its_own_table() -> None:
    """In every table of every shipped plan: its own keys are among those allowed, and are of one model."""
    models = {frozenset(model.model_fields) for model in tables(Plan)}
    free = {"options", "encoders", "pretrained", "ranges", "groups", "sources"}  # keys are the user's
    seen = set()
    for document in PLANS.values():
        from_json(canonical(document).decode())  # control
        for path in places(document):
            if free.isdisjoint(path):
                told = told_keys(document, path)
                table: Any = document
                for key in path:
                    table = table[key]
                assert set(table) <= told, path
                assert told in models, path
                seen.add(told)
    assert len(seen) >= 12, "networks, their training and privacy, features and trees among them"


@pytest.mark.parametrize("missing", ["encoder", "features", "boosting"])
def test_a_stage_without_a_kind_is_told_all_there_are(missing: str) -> None:
    document = copy.deepcopy(PLANS["physionet2012-networks"])
    del document["stages"][1]["kind"]
    assert missing in refusal(document)


def test_what_is_wrong_with_the_whole_plan_names_no_key() -> None:
    document = copy.deepcopy(PLANS["physionet2012-privacy"])
    document["resampling"] = "random_over"
    text = refusal(document)
    assert text.startswith("plan received: stage 'summary' has 'privacy', and resampling repeats or invents patients")


def test_an_encoder_of_no_modality_is_told_by_the_name_in_the_file() -> None:
    document = copy.deepcopy(PLANS["physionet2012-networks"])
    document["stages"][1]["encoders"] = {"serie": "gru_d"}
    assert "key 'stages.1.encoder.encoders.serie': Input should be 'table', 'series'" in refusal(document)
