"""``metrics.jsonl`` says what the results say, once, however often the run was interrupted."""

from __future__ import annotations

import pytest

from common.metrics import METRICS
from common.serialization import parse
from server.results import OVERALL


def lines_of(one):
    return [parse(line) for line in (one.folder / "metrics.jsonl").read_bytes().splitlines()]


def test_every_round_has_a_line_a_site_and_one_for_all(trial):
    one = trial()
    found = one.run()
    lines = {line["key"]: line for line in lines_of(one)}
    assert len(lines) == len(lines_of(one))
    rounds = [(stage, done) for stage in found.stages for done in stage.rounds]
    assert len(rounds) == 5
    for stage, done in rounds:
        beginning = f"{stage.name}/seed7/fold0/round{done.number}"
        assert set(done.at) == set(done.sites)
        for site, told in done.at.items():
            line = lines.pop(f"{beginning}/{site}")
            assert (line["training_loss"], line["held_out_loss"]) == (told.training_loss, told.held_out_loss)
            assert (line["seconds"], line["bytes_up"], line["epsilon"]) == (told.seconds, told.bytes_up, None)
        whole = lines.pop(f"{beginning}/{OVERALL}")
        assert whole["held_out_loss"] == done.held_out_loss
        assert done.bytes_up == sum(told.bytes_up for told in done.at.values()) == whole["bytes_up"] > 0
        assert max(told.seconds for told in done.at.values()) <= done.seconds
    assert {line["kind"] for line in lines.values()} == {"figure"}


def test_losses_of_all_sites_are_the_mean_of_those_told(trial):
    stage = trial().run().stages[0]
    for done in stage.rounds:
        told = [site.training_loss for site in done.at.values()]
        assert len(told) == 3
        assert abs(done.training_loss - sum(told) / 3) < 1e-12


def test_figures_are_those_of_the_results(trial):
    one = trial()
    found = one.run()
    told = {line["key"]: line for line in lines_of(one) if line["kind"] == "figure"}
    for candidate in found.candidates:
        for score in candidate.scores:
            for metric in METRICS:
                line = told.pop(f"{candidate.name}/seed7/{score.site}/{metric}")
                assert line["value"] == getattr(score, metric).value
                assert line["trained"] == candidate.kind
    assert not told


def test_a_resumed_run_has_every_line_once(trial):
    one = trial()
    one.network.at = {6: lambda: 1 / 0}  # as if the coordinator's process died
    with pytest.raises(ZeroDivisionError):
        one.run()
    before = lines_of(one)
    assert before
    assert all(line["stage"] == "fedxgb_bagging" or line["round"] < 3 for line in before)
    one.again()
    one.run()
    after = lines_of(one)
    assert after[: len(before)] == before
    assert len({line["key"] for line in after}) == len(after) > len(before)


def test_a_line_cut_in_half_is_mended(trial):
    one = trial()
    one.network.at = {6: lambda: 1 / 0}
    with pytest.raises(ZeroDivisionError):
        one.run()
    file = one.folder / "metrics.jsonl"
    file.write_bytes(file.read_bytes()[:-20])
    one.again()
    one.run()
    assert len({line["key"] for line in lines_of(one)}) == len(lines_of(one))
