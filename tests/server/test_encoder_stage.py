"""The rounds of an encoder stage: which is kept, when training ends, and what of a reply is refused."""

from __future__ import annotations

import json
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from common.encoders.base import Settings, Shape
from common.encoders.network import Part, assemble
from common.exceptions import CheckpointError, FedwardError, ModelError, PlanError, ProtocolError
from common.local_rule import LocalRule
from common.network_messages import TrainReply
from common.network_stages import EncoderStage
from common.networks.sharing import arrays, by_module, pack, shared, whole
from common.plan import Repetition
from server.blobs import Blobs
from server.checkpoints import Checkpoint
from server.progress import Progress
from server.results import Round, SiteRound
from server.stages import encoder
from server.stages.encoder import check
from server.stages.encoder_rounds import FinishedRound, best, last_counted
from server.tracking import Tracking
from strategies.weights.update import Trained, Update
from tests.networks import stage

PRIVACY = {"noise_multiplier": 2.0, "sample_rate": 0.25, "steps": 1}
NETWORK = assemble({"table": Part("tabular", Shape(3), Settings(8, 1, 0.0))}, labels=1, seed=1)
TEMPLATE = shared(NETWORK, "nothing")
CHANGE = pack({name: np.zeros(value.shape, np.float32) for name, value in TEMPLATE.items()})


def stage_of(**changes) -> EncoderStage:
    return EncoderStage.model_validate_json(json.dumps(stage("net", **changes)))


def finished(number, losses, weights="", state=""):
    """Return a round whose sites told these losses on the weights it began with."""
    at = {site: SiteRound(seconds=1, bytes_up=1, training_loss=None, held_out_loss=one) for site, one in losses.items()}
    round_ = Round(
        number=number, seconds=1, bytes_down=1, bytes_up=1, sites=tuple(losses), missing={}, training_loss=None,
        held_out_loss=None, at=at,
    )  # fmt: skip
    return FinishedRound(round=round_, weights=weights, state=state)


@pytest.fixture
def rounds_of(tmp_path, monkeypatch):
    """Run a stage whose sites tell these losses of what they receive: the round kept, how many, files at the end."""

    def run(losses, **changes):
        asked = []

        def exchange(self, rounds, number):
            asked.append(number)
            assert len(rounds) == number - 1
            self.blobs.put(f"of a process that was killed in round {number}".encode())
            weights, state = self.blobs.put(pack({"w": np.array([number], np.float32)})), self.blobs.put(pack({}))
            return finished(number, {"alder": losses[number - 1]}, weights, state)

        monkeypatch.setattr(encoder._Work, "exchange", exchange)
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        with Checkpoint(folder, "digest") as checkpoint:
            blobs = Blobs(folder / "weights")
            progress, tracking = Progress(folder / "progress.jsonl", 9), Tracking(folder / "metrics.jsonl")
            tracking.begin()
            study = SimpleNamespace(checkpoint=checkpoint, blobs=blobs, progress=progress, tracking=tracking)
            given = stage_of(rounds=len(losses), **changes)
            other = study.blobs.of("other").put(b"of another chain")
            network, history = encoder.run(study, given, {}, Repetition(7, 0))
            again, _ = encoder.run(study, given, {}, Repetition(7, 0))
            assert study.blobs.of("other").get(other)
        assert again == network
        assert arrays(blobs.get(network))["w"].tolist() == [history.kept]
        assert len(asked) == len(history.rounds), "what is finished is not asked for again"
        return history.kept, len(history.rounds), len(list((folder / "weights" / "net-seed7-fold0").iterdir()))

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


def test_rounds_are_compared_over_the_sites_that_told_of_both():
    """Without the site whose patients are hard, the mean falls, and the weights have got no better."""
    losses = [
        {"alder": 0.9, "birch": 0.9},
        {"alder": 0.3, "birch": 0.6},
        {"alder": 0.31},
        {"birch": 0.5},
        {"alder": 0.2, "birch": None},
    ]
    kept = [best([finished(k, told) for k, told in enumerate(losses[:number], 1)]).round.number for number in (3, 4, 5)]
    assert kept == [1, 3, 3], "0.31 is no better than 0.3, 0.5 is better than 0.6; of alder and birch none told of both"
    assert best([finished(1, {"alder": None}), finished(2, {"alder": None})]).round.number == 2


def test_the_last_round_in_which_an_answer_counted():
    rounds = [finished(1, {"alder": None, "birch": None}), finished(2, {"alder": None}), finished(3, {"birch": None})]
    assert [last_counted(rounds[:2], site) for site in ("alder", "birch", "cedar")] == [2, 1, 0]
    assert last_counted(rounds, "birch") == 3


def test_a_change_too_large_ends_the_run_before_the_round_counts():
    huge = {"w": np.full(2, 1e30, np.float32)}
    trained = Trained({"w": np.zeros(2, np.float32)}, {"alder": Update(1.0, huge)}, {})
    with pytest.raises(ModelError, match="the state of fedadam would not be finite"):
        encoder._aggregated(stage_of(strategy="fedadam"), trained)
    encoder._aggregated(stage_of(strategy="fedmedian"), trained)


def study_of(**plan):
    columns = {"table": ("age", "sex", "bun")}
    return SimpleNamespace(
        plan=SimpleNamespace(repetitions=iter([Repetition(7, 0)]), label_names=("death",), **plan), columns=columns
    )


def test_what_a_stage_cannot_be_trained_on_is_refused_before_training():
    require = partial(encoder.require, patients={"alder": 90, "birch": None})
    with pytest.raises(PlanError, match="birch does not tell how many patients it has"):
        require(study_of(), stage_of())
    with pytest.raises(PlanError, match="birch does not tell"):
        require(study_of(), stage_of(privacy=PRIVACY))
    with pytest.raises(PlanError, match="keeps the normalisation at each site, and tabular has none"):
        require(study_of(), stage_of(strategy="fedbn", shares="equal"))
    require(study_of(), stage_of(strategy="fedper", shares="equal"))


def reply(**changes) -> TrainReply:
    fields = {"modalities": ["table"], "change": CHANGE, "control": b""}
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
