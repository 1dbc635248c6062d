"""What a stage may ask of its encoders, refused before any site is asked."""

from __future__ import annotations

import pytest

from common.exceptions import PlanError
from common.network_stages import EncoderStage
from common.networks.building import build, require
from tests.networks import stage

PRIVACY = {"noise_multiplier": 1.0, "sample_rate": 0.1, "steps": 2}


def asked(**changes: object) -> EncoderStage:
    return EncoderStage.model_validate(stage("x", **changes))


def test_batch_statistics_and_noise_go_together_only_in_a_frozen_encoder() -> None:
    films = {"encoders": {"images": "densenet121"}, "privacy": PRIVACY, "size": 32}
    with pytest.raises(PlanError, match="images are 'frozen'"):
        require(asked(**films))
    require(asked(**{**films, "encoders": {"images": "densenet121_group_norm"}}))
    network = build(asked(**films, frozen=("images",)), {}, 1, seed=1, fold=0)
    network.take_embeddings("images")
    from opacus.validators import ModuleValidator

    assert not ModuleValidator.validate(network.train(), strict=False)


def test_the_penalty_is_for_a_table_that_is_trained() -> None:
    penalty = {"training": {"l1": 0.1}}
    require(asked(**penalty))
    for other in ({"encoders": {"series": "lstm"}}, {"frozen": ("table",)}):
        with pytest.raises(PlanError, match="l1"):
            require(asked(**penalty, **other))
