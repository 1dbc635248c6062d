"""Nothing that a run's folder holds is used unchecked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from client.predicting import released
from common.exceptions import ModelError
from common.plan import Plan, from_json, read
from common.serialization import canonical, digest, parse

MODEL = b"trees"
PLAN = read("demo")


def model(name: str) -> dict[str, Any]:
    return {"name": name, "label": "death", "seed": 7, "fold": 0, "file": "m.json", "digest": digest(MODEL)}


def folder_of(tmp_path: Path, plan: Plan = PLAN, **changes: Any) -> Path:
    text = plan.to_json()
    models = [model("fedxgb_bagging")]
    told = {"run": "r", "plan": text, "plan_digest": digest(text.encode()), "models": models, **changes}
    (tmp_path / "metrics.json").write_text(json.dumps(told))
    (tmp_path / "m.json").write_bytes(MODEL)
    return tmp_path


def test_what_was_released_is_read(tmp_path: Path) -> None:
    run = released.read(folder_of(tmp_path))
    (found,) = run.named(["fedxgb_bagging"])["fedxgb_bagging"]
    assert run.content(found) == MODEL
    assert not found.is_network


def test_a_model_that_was_changed_is_not_used(tmp_path: Path) -> None:
    run = released.read(folder_of(tmp_path))
    (tmp_path / "m.json").write_bytes(MODEL + b" ")
    with pytest.raises(ModelError, match="is not the model that the run released"):
        run.content(run.models[0])
    (tmp_path / "m.json").unlink()
    with pytest.raises(ModelError, match="cannot be read: No such file"):
        run.content(run.models[0])


@pytest.mark.parametrize("inside", ["../m.json", "sub/m.json", "/etc/hostname"])
def test_a_model_elsewhere_is_not_read(tmp_path: Path, inside: str) -> None:
    (tmp_path / "run" / "sub").mkdir(parents=True)
    for place in (tmp_path, tmp_path / "run" / "sub"):
        (place / "m.json").write_bytes(MODEL)
    run = released.read(folder_of(tmp_path / "run"))
    with pytest.raises(ModelError, match="outside of the run's folder"):
        run.content(run.models[0].model_copy(update={"file": inside}))


def test_a_plan_of_another_digest_is_not_followed(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="the plan is not the one of its digest"):
        released.read(folder_of(tmp_path, plan_digest="00" * 32))


@pytest.mark.parametrize("columns", ["[", "[1]", '{"table": 1}'])
def test_a_damaged_folder_is_none(tmp_path: Path, columns: str) -> None:
    with pytest.raises(ModelError, match="not the folder of a finished run"):
        released.read(tmp_path)
    folder = folder_of(tmp_path)
    released.read(folder)  # control
    (folder / "columns.json").write_text(columns)
    with pytest.raises(ModelError, match="not the folder of a finished run"):
        released.read(folder)


def test_a_model_that_was_not_released_is_said_to_be_none(tmp_path: Path) -> None:
    run = released.read(folder_of(tmp_path))
    with pytest.raises(ModelError, match="released no model 'net'; it released fedxgb_bagging"):
        run.named(["net"])


def test_ensembles_that_the_models_make_up_can_be_named_and_are_told(tmp_path: Path) -> None:
    tree, members = parse(PLAN.to_json()), ["fedxgb_bagging", "fedxgb_cyclic"]
    tree["stages"][-1:-1] = [{"kind": "ensemble", "name": "both", "models": members}]
    plan = from_json(canonical(tree).decode())
    run = released.read(folder_of(tmp_path, plan, models=list(map(model, members))))
    assert [one.name for one in run.named(["both"])["both"]] == members
    with pytest.raises(ModelError, match=r"no model 'net'; it released fedxgb_bagging, fedxgb_cyclic, both$"):
        run.named(["both", "net"])
    part = released.read(folder_of(tmp_path, plan))
    with pytest.raises(ModelError, match=r"no model 'both'; it released fedxgb_bagging$"):
        part.named(["both"])
