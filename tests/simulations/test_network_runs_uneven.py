"""Sites that are not alike: one without a series, one without privacy left, one whose ledger was put back."""

from __future__ import annotations

import io
import os
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from client import answering
from client.cohorts import loading
from client.open_sites import close_sites, open_site
from client.training.gradient import train
from client.training.local_state import chain_of
from client.training.network_rounds import divide, schedule
from common import seeding
from common.audit.event import Kind
from common.audit.log import AuditLog
from common.network_messages import TrainReply
from common.networks.building import build
from common.networks.sharing import kept
from common.plan import from_json, read
from common.privacy.accountant import epsilon
from common.privacy.events import SampledGaussian
from common.serialization import canonical, parse
from simulations.running import prepare, simulate
from tests.networks import SGD, stage, stages, weights

UNITS = ("coronary", "medical", "surgical")
CPU = torch.device("cpu")
ALL = ("hospital-1", "hospital-2", "hospital-3")
PRIVACY = {"noise_multiplier": 2.0, "delta": 1e-3, "sample_rate": 0.25, "steps": 2}


def packed(folder: Path, letter: str, records: dict[str, bytes], outcomes: str) -> None:
    with tarfile.open(folder / f"set-{letter}.tar.gz", "w:gz") as archive:
        for number, content in records.items():
            entry = tarfile.TarInfo(f"set-{letter}/{number}.txt")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    (folder / f"Outcomes-{letter}.txt").write_text(outcomes)


@pytest.fixture(scope="module")
def invented(tmp_path_factory):
    """A small folder in the challenge's layout: heart rates that rise where a patient dies."""
    folder, chance = tmp_path_factory.mktemp("invented"), np.random.default_rng(2012)
    for letter, first in (("a", 132000), ("b", 142000)):
        records, outcomes = {}, "RecordID,SAPS-I,SOFA,Length_of_stay,Survival,In-hospital_death\n"
        for number in range(first, first + 80):
            died = int(chance.random() < 0.4)
            lines = ["Time,Parameter,Value", f"00:00,RecordID,{number}", f"00:00,Age,{40 + number % 50}"]
            lines += ["00:00,Gender,1", "00:00,Height,-1", f"00:00,ICUType,{number % 4 + 1}", "00:00,Weight,76"]
            lines += [f"{hour:02}:15,HR,{chance.normal(85, 12) + died * hour:.1f}" for hour in range(0, 48, 6)]
            records[str(number)] = "\n".join([*lines, ""]).encode()
            outcomes += f"{number},1,1,9,-1,{died}\n"
        packed(folder, letter, records, outcomes)
    return folder


def challenge(*training, sites=UNITS):
    tree = parse(read("physionet2012-mortality").to_json())
    tree |= {"seeds": [7], "split": {"folds": 3, "held_out": [0]}, "stages": stages(*training), "resampling": "none"}
    tree["sites"] |= {"names": list(sites), "quorum": 2, "on_missing": "continue"}
    return from_json(canonical(tree).decode())


def both(**changes):
    encoders = {"series": "lstm", "table": "tabular"}
    return stage("both", encoders=encoders, steps=48, shares="equal", **changes)


@pytest.mark.usefixtures("undrawn")
def test_a_site_without_a_series_trains_what_it_has_and_each_module_is_averaged_over_its_sites(
    tmp_path, invented, monkeypatch
):
    def without_series(source, folder, task, select, modalities, cache):
        cohort = loading.load(source, folder, task, select, modalities, cache)
        if "surgical" not in str(select.values):
            return cohort
        return replace(cohort, series=replace(cohort.series, last=cohort.series.first))

    monkeypatch.setattr("client.site.load", without_series)
    plan = challenge(both(rounds=1, training={**SGD, "epochs": 2}))
    simulation = prepare(plan, tmp_path / "uneven", data=invented, engine="in-process")
    results = simulate(simulation)
    (history,) = results.stages
    assert history.rounds[0].sites == UNITS

    ends = {}
    for name, file in simulation.files.items():
        site = open_site(file)
        given = simulation.plan.encoders[0]
        network = build(given, site.inputs(simulation.plan), 1, 7, 0)
        first = {key: value.clone() for key, value in network.state_dict().items()}
        examples = site.examples(simulation.plan, given)
        rows = divide(examples, seed=7, folds=3, held_out=0, validation=0).train
        seed = seeding.seed(seeding.seed(7, name, 0, "both"), 1)
        train(network, examples, rows, schedule(given, 1), seed=seed, devices=[CPU])
        ends[name] = network.state_dict()
        assert examples.modalities == (("table",) if name == "surgical" else ("series", "table"))
    close_sites()
    released = weights(simulation.folder)["both"]
    having, width = ("coronary", "medical"), 8
    for key, value in released.items():
        if key.startswith("encoders.series."):
            expected = torch.stack([ends[name][key] for name in having]).mean(0)
        else:
            expected = torch.stack([ends[name][key] for name in UNITS]).mean(0)
        if key == "head.weight":  # the series' columns come first
            expected[:, :width] = torch.stack([ends[name][key][:, :width] for name in having]).mean(0)
            assert torch.equal(ends["surgical"][key][:, :width], first[key][:, :width])
        np.testing.assert_allclose(value, expected.numpy(), atol=1e-6, err_msg=key)


@pytest.mark.usefixtures("undrawn")
def test_fedbn_leaves_the_normalisation_at_each_site(tmp_path, invented):
    encoders = {"series": "ssm", "table": "tabular"}
    plan = challenge({**both(strategy="fedbn", rounds=2), "encoders": encoders})
    simulation = prepare(plan, tmp_path / "fedbn", data=invented, engine="in-process")
    simulate(simulation)
    given, norms = simulation.plan.encoders[0], {}
    for name, file in simulation.files.items():
        site = open_site(file)
        network = build(given, site.inputs(simulation.plan), 1, 7, 0)
        norms[name] = site.states.latest(chain_of(simulation.folder.name, simulation.plan, given, 7, 0))
        assert set(norms[name]) == kept(network, "normalisation")
    close_sites()
    released = weights(simulation.folder)["both"]
    for key, value in norms["medical"].items():
        assert key not in released
        assert not torch.equal(value, norms["surgical"][key]), "each site's own"


@pytest.mark.skipif("FEDWARD_DATA" not in os.environ, reason="FEDWARD_DATA names no folder of real data")
@pytest.mark.usefixtures("undrawn")
def test_an_lstm_over_real_stays(tmp_path):
    """Two rounds over four real units, some hundred stays; and once more, to the same bytes."""
    data, few = Path(os.environ["FEDWARD_DATA"]) / "cinc2012", tmp_path / "few"
    few.mkdir()
    for letter in "ab":
        records = {}
        with tarfile.open(data / f"set-{letter}.tar.gz") as archive:
            for entry in archive:
                if entry.isfile() and len(records) < 200:
                    records[Path(entry.name).stem] = archive.extractfile(entry).read()
        lines = (data / f"Outcomes-{letter}.txt").read_text().splitlines()
        kept = [lines[0], *(line for line in lines[1:] if line.split(",")[0] in records)]
        packed(few, letter, records, "\n".join([*kept, ""]))
    four = ("coronary", "cardiac-surgery-recovery", "medical", "surgical")
    training = {**SGD, "optimizer": "adamw", "batch_size": 16, "learning_rate": 0.01, "epochs": 1}
    plan = challenge(both(rounds=2, validation=0.2, training=training), {"kind": "local"}, sites=four)
    found = []
    for name in ("first", "second"):
        simulation = prepare(plan, tmp_path / "runs" / name, data=few, engine="in-process")
        results = simulate(simulation)
        found.append({file.name: file.read_bytes() for file in simulation.folder.glob("*-seed*.safetensors")})
        assert [one.sites for one in results.stages[0].rounds] == [tuple(sorted(four))] * 2
    assert found[0] == found[1]
    assert len(found[0]) == 5
    assert {f"both local/{name}" for name in four} | {"both", "both pooled", "both mean of local"} <= {
        one.name for one in results.candidates
    }


@pytest.mark.usefixtures("undrawn")
def test_a_site_that_cannot_afford_a_round_refuses_and_the_others_go_on(prepared, small_plan):
    plan = small_plan({"sites.on_missing": "continue", "stages": stages(stage("net", rounds=3, privacy=PRIVACY))})
    simulation = prepared(plan)
    for name, steps in (("hospital-2", 4), ("hospital-1", 6)):  # two rounds, and all three
        budget, file = epsilon([SampledGaussian(2.0, 0.25, steps)], 1e-3) + 1e-6, simulation.files[name]
        file.write_text(file.read_text() + f"[privacy]\ndelta = 1e-3\nepsilon = {budget}\n")
    rounds = simulate(simulation).stages[0].rounds
    assert [one.sites for one in rounds] == [ALL, ALL, ("hospital-1", "hospital-3")]
    assert "privacy spent" in rounds[2].missing["hospital-2"]
    spent = open_site(simulation.files["hospital-2"]).releases.ledger.mechanisms()
    assert len([one for one in spent if one.kind == "sampled-gaussian"]) == 2
    close_sites()


@pytest.mark.usefixtures("undrawn")
def test_a_ledger_that_was_put_back_is_left_out(prepared, small_plan, monkeypatch):
    plan = small_plan({"sites.on_missing": "continue", "stages": stages(stage("net", rounds=3, privacy=PRIVACY))})
    simulation = prepared(plan)
    undisturbed, heads = answering._pack, []

    def put_back(site, run, body, ledger):
        if site.name == "hospital-3" and isinstance(body, TrainReply):
            heads.append(ledger)
            ledger = heads[0] if len(heads) == 3 else ledger
        return undisturbed(site, run, body, ledger)

    monkeypatch.setattr(answering, "_pack", put_back)
    rounds = simulate(simulation).stages[0].rounds
    assert [("hospital-3" in one.sites) for one in rounds] == [True, True, False]
    assert "put back to an earlier state" in rounds[2].missing["hospital-3"]
    with AuditLog(simulation.folder / "coordinator" / "audit.sqlite", "coordinator") as log:
        decisions = [str(entry.event.details) for entry in log.entries() if entry.event.kind == Kind.DECISION]
    assert any("went on without hospital-3" in one for one in decisions)
