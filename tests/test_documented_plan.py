"""The stages that README.md shows are stages of a plan that can be run, and what it says of them is what they do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from common.plan import read, shipped
from common.stages import BoostingStage
from strategies.base import require

README = Path(__file__).parents[1] / "README.md"


def test_the_stages_shown_can_be_run(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the extra 'encoders' is not installed")
    shown = "".join(re.findall(r"```toml\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL))
    head, _, _ = shipped()["physionet2012-networks"].partition("[[stages]]")
    plan = tmp_path / "plan.toml"
    plan.write_text(f'{head}[[stages]]\nkind = "statistics"\n{shown}[[stages]]\nkind = "evaluate"\nshare = "summary"\n')
    found = read(plan)
    for stage in found.federated:
        require(stage)
    (network,) = found.encoders
    assert network.privacy is not None
    assert not network.by_patients, "sites count alike"
    (trees,) = (stage for stage in found.stages if isinstance(stage, BoostingStage))
    assert [stage.models for stage in found.ensembles] == [(trees.name, network.name)]
    assert found.features_stage(trees.inputs[-1]).encoder == network.name
