"""The rounds of an encoder stage: which is kept, when training ends, and what of a reply is refused."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from common.encoders.base import Settings, Shape
from common.encoders.network import Part, assemble
from common.exceptions import CheckpointError, FedwardError, ProtocolError
from common.local_rule import LocalRule
from common.network_messages import TrainReply
from common.network_stages import EncoderStage
from common.networks.sharing import arrays, by_module, pack, shared, whole
from common.plan import Repetition
from server.blobs import Blobs
from server.checkpoints import Checkpoint
from server.progress import Progress
from server.results import Round
from server.stages import encoder
from server.stages.encoder import FinishedRound, check
from server.tracking import Tracking
from tests.networks import stage

PRIVACY = {"noise_multiplier": 2.0, "sample_rate": 0.25, "steps": 1}
NETWORK = assemble({"table": Part("tabular", Shape(3), Settings(8, 1, 0.0))}, labels=1, seed=1)
TEMPLATE = shared(NETWORK, "nothing")
CHANGE = pack({name: np.zeros(value.shape, np.float32) for name, value in TEMPLATE.items()})


def stage_of(**changes) -> EncoderStage:
    return EncoderStage.model_validate_json(json.dumps(stage("net", **changes)))


@pytest.fixture
def rounds_of(tmp_path, monkeypatch):
    """Run a stage whose sites tell these losses of what they receive: the round kept, how many, files at the end."""

    def run(losses, **changes):
        asked = []

        def exchange(self, before, number):
            asked.append((before.weights if before else None, number))
            weights = self.study.blobs.put(pack({"w": np.array([number], np.float32)}))
            found = Round(
                number=number, seconds=1, bytes_down=1, bytes_up=1, sites=("alder",), missing={},
                training_loss=None, held_out_loss=losses[number - 1],
            )  # fmt: skip
            return FinishedRound(round=found, weights=weights, state=self.study.blobs.put(pack({})))

        monkeypatch.setattr(encoder._Work, "exchange", exchange)
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        with Checkpoint(folder, "digest") as checkpoint:
            blobs = Blobs(folder / "weights")
            progress, tracking = Progress(folder / "progress.jsonl", 9), Tracking(folder / "metrics.jsonl")
            tracking.begin()
            study = SimpleNamespace(checkpoint=checkpoint, blobs=blobs, progress=progress, tracking=tracking)
            given = stage_of(rounds=len(losses), **changes)
            network, history = encoder.run(study, given, {}, Repetition(7, 0))
            again, _ = encoder.run(study, given, {}, Repetition(7, 0))
        assert again.digest == network.digest
        assert arrays(network.weights)["w"].tolist() == [network.round]
        assert len(asked) == len(history.rounds), "what is finished is not asked for again"
        return network.round, len(history.rounds), len(list((folder / "weights").iterdir()))

    return run


def test_a_rounds_weights_are_judged_by_the_losses_of_the_next(rounds_of):
    assert rounds_of([0.9, 0.5, 0.3, 0.4, 0.6], validation=0.2)[:2] == (2, 5)
    assert rounds_of([0.1, 0.5, 0.4], validation=0.2)[0] == 2, "the loss of the first weights is no round's"
    assert rounds_of([0.9], validation=0.2)[0] == 1


def test_without_losses_the_last_round_counts(rounds_of):
    assert rounds_of([None] * 4)[:2] == (4, 4)
    assert rounds_of([0.5, None, 0.3, None], validation=0.2)[0] == 2, "a round without a loss is not chosen"


def test_training_ends_after_rounds_without_a_lower_loss(rounds_of):
    assert rounds_of([0.9, 0.5, 0.3, 0.4, 0.4, 0.1, 0.1], validation=0.2, patience=2)[:2] == (2, 5)
    assert rounds_of([0.9, 0.5, 0.3, 0.4, 0.2, 0.3, 0.3], validation=0.2, patience=2)[:2] == (4, 7)
    assert rounds_of([0.9, 0.5, 0.3, 0.4, 0.2, 0.3, 0.3], validation=0.2)[:2] == (4, 7)


def test_only_the_weights_that_are_still_needed_stay(rounds_of):
    assert rounds_of([0.9, 0.5, 0.3, 0.4, 0.6], validation=0.2)[2] == 3, "the kept, the last, the last state"
    assert rounds_of([None] * 5)[2] == 2


def reply(**changes) -> TrainReply:
    fields = {"modalities": ["table"], "change": CHANGE, "control": b"", "ledger_sequence": 1, "ledger_hash": "a" * 64}
    return TrainReply(**{**fields, **changes})


def test_sound_replies_pass():
    with pytest.raises(ProtocolError):  # the control: a validation nobody asked for
        check(reply(validation_loss=0.5), TEMPLATE, LocalRule(), stage_of())
    check(reply(training_loss=0.5), TEMPLATE, LocalRule(), stage_of())
    check(reply(training_loss=0.5, validation_loss=0.5), TEMPLATE, LocalRule(), stage_of(validation=0.2))
    check(reply(control=CHANGE), TEMPLATE, LocalRule(controlled=True), stage_of())
    check(reply(), TEMPLATE, LocalRule(), stage_of(privacy=PRIVACY))


NAN = pack({name: np.full(value.shape, np.nan, np.float32) for name, value in TEMPLATE.items()})
HEADLESS = pack({name: value for name, value in arrays(CHANGE).items() if not name.startswith("head.")})


@pytest.mark.parametrize(
    ("changes", "rule", "how"),
    [
        ({"change": NAN}, {}, {}),
        ({"change": HEADLESS}, {}, {}),
        ({"change": CHANGE[:-4]}, {}, {}),
        ({"change": b""}, {}, {}),
        ({"modalities": ["table", "series"]}, {}, {}),
        ({"modalities": ["series"]}, {}, {}),
        ({"control": CHANGE}, {}, {}),
        ({}, {"controlled": True}, {}),
        ({"control": NAN}, {"controlled": True}, {}),
        ({"validation_loss": 0.5}, {}, {}),
        ({"training_loss": 0.5}, {}, {"privacy": PRIVACY}),
        ({"validation_loss": 0.5}, {}, {"privacy": PRIVACY}),
        ({"ledger_hash": ""}, {}, {"privacy": PRIVACY}),
    ],
)  # fmt: skip
def test_unsound_replies_are_refused(changes, rule, how):
    with pytest.raises(FedwardError):
        check(reply(**changes), TEMPLATE, LocalRule(**rule), stage_of(**how))


def test_the_heads_columns_belong_to_the_encoders_they_meet():
    widths = {"series": 2, "table": 1}
    weights = {"head.weight": np.array([[1, 2, 3], [4, 5, 6]], np.float32), "head.bias": np.zeros(2, np.float32)}
    cut = by_module(weights, widths, widths)
    assert cut["head.weight/series"].tolist() == [[1, 2], [4, 5]]
    assert cut["head.weight/table"].tolist() == [[3], [6]]
    assert {name: value.tolist() for name, value in whole(cut, widths).items()} == {
        name: value.tolist() for name, value in weights.items()
    }
    assert set(by_module(weights, widths, ["table"])) == {"head.weight/table", "head.bias"}
    assert whole(by_module({"head.bias": np.zeros(2)}, widths, widths), widths).keys() == {"head.bias"}


def test_damaged_or_lost_weights_end_the_run(tmp_path):
    blobs = Blobs(tmp_path / "weights")
    name = blobs.put(b"weights")
    assert blobs.get(name) == b"weights"
    (file,) = (tmp_path / "weights").iterdir()
    file.write_bytes(b"weighty")
    with pytest.raises(CheckpointError, match="damaged"):
        blobs.get(name)
    file.unlink()
    with pytest.raises(CheckpointError, match="cannot be read"):
        blobs.get(name)
