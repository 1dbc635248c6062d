"""Federated training of networks over real sites in one process, against loops written out."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import nn

from client.open_sites import close_sites, open_site
from client.training.examples import Examples
from client.training.loss import per_row
from client.training.network_rounds import divide
from common.networks.building import build
from common.plan import Plan
from simulations.running import Simulation, simulate
from strategies import base
from tests.networks import stage, stages, weights

SITES = ("hospital-1", "hospital-2", "hospital-3")
EVERY = tuple(sorted({*base.names(trees=False)} - {"krum", "fedbn"}))
"""Krum needs five sites, fedbn an encoder that normalises."""
STAGES = [stage(name, strategy=name) for name in EVERY]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def whole(tmp_path_factory, hospitals, small_plan):
    """Run every strategy, and every site alone, once."""
    from simulations.running import prepare

    plan = small_plan({"stages": stages(*STAGES, {"kind": "local"})})
    simulation = prepare(plan, tmp_path_factory.mktemp("runs") / "whole", data=hospitals, engine="in-process")
    return simulation, simulate(simulation)


def rows_of(simulation: Simulation, plan: Plan) -> dict[str, tuple[Examples, np.ndarray]]:
    """Return each site's examples and the rows it trains on."""
    found = {}
    for name, file in simulation.files.items():
        examples = open_site(file).examples(plan, plan.encoders[0])
        found[name] = examples, divide(examples, seed=7, folds=3, held_out=0, validation=0.0).train
    close_sites()
    return found


def network_of(plan: Plan, name: str, simulation: Simulation) -> nn.Module:
    site = open_site(simulation.files["hospital-1"])
    return build(plan.encoder(name), site.inputs(plan), len(plan.label_names), 7, 0)


def gradients(network: nn.Module, at: Mapping[str, torch.Tensor], examples: Examples, rows: np.ndarray):
    batch = examples.batch(rows, CPU)
    leaves = {name: value.clone().requires_grad_() for name, value in at.items()}
    logits = torch.func.functional_call(network, leaves, (batch.inputs, batch.present))
    found = torch.autograd.grad(per_row(logits, batch, 1.0).mean(), list(leaves.values()))
    return dict(zip(leaves, found, strict=True))


def assert_near(found: Mapping[str, np.ndarray], expected: Mapping[str, torch.Tensor]) -> None:
    assert set(found) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value.numpy(), atol=1e-5, rtol=0, err_msg=name)


@pytest.mark.usefixtures("undrawn")
def test_every_strategy_trains_two_rounds_at_three_sites(whole):
    simulation, results = whole
    found = weights(simulation.folder)
    for name in EVERY:
        (history,) = [one for one in results.stages if one.name == name]
        assert [(one.sites, one.missing) for one in history.rounds] == [(SITES, {})] * 2
        first = network_of(simulation.plan, name, simulation).state_dict()
        moved = {key for key, value in found[name].items() if not np.array_equal(value, first[key].numpy())}
        assert moved == set(found[name]), name
    assert not {key for key in found["fedper"] if key.startswith("head.")}
    assert found["fedper"].keys() < found["fedavg"].keys() == found["ditto"].keys()
    close_sites()


def test_a_network_of_each_sites_own_is_scored_beside_the_common_one(whole):
    _, results = whole
    kinds = {one.name: one.kind for one in results.candidates}
    assert {name: kinds[name] for name in EVERY} == dict.fromkeys(EVERY, "federated")
    assert kinds["ditto personal"] == "personal"
    assert kinds["fedavg local/hospital-1"] == "local"
    assert kinds["fedavg pooled"] == "pooled"


def test_fedavg_is_the_mean_by_hand(whole):
    simulation, results = whole
    plan = simulation.plan
    network, data = network_of(plan, "fedavg", simulation), rows_of(simulation, plan)
    share = {one.name: one.patients for one in results.sites}
    at = {name: value.detach() for name, value in network.named_parameters()}
    for _ in range(2):
        ends = {}
        for site, (examples, rows) in data.items():
            own = at
            for _ in range(3):
                own = {k: own[k] - 0.2 * g for k, g in gradients(network, own, examples, rows).items()}
            ends[site] = own
        at = {k: sum(share[s] * ends[s][k] for s in SITES) / sum(share[s] for s in SITES) for k in at}
    assert_near(weights(simulation.folder)["fedavg"], at)


def test_scaffold_is_algorithm_1_by_hand(whole):
    """All means, of the changes and of the variates, are by patients."""
    simulation, results = whole
    plan = simulation.plan
    network, data = network_of(plan, "scaffold", simulation), rows_of(simulation, plan)
    patients = {one.name: one.patients for one in results.sites}
    share = {site: patients[site] / sum(patients.values()) for site in SITES}
    at = {name: value.detach() for name, value in network.named_parameters()}
    c = {name: torch.zeros_like(value) for name, value in at.items()}
    c_i = {site: dict(c) for site in SITES}
    for _ in range(2):
        change, drift = {}, {}
        for site, (examples, rows) in data.items():
            y = at
            for _ in range(3):
                g = gradients(network, y, examples, rows)
                y = {k: y[k] - 0.2 * (g[k] - c_i[site][k] + c[k]) for k in y}
            new = {k: c_i[site][k] - c[k] + (at[k] - y[k]) / (3 * 0.2) for k in y}
            drift[site] = {k: new[k] - c_i[site][k] for k in y}
            change[site] = {k: y[k] - at[k] for k in y}
            c_i[site] = new
        at = {k: at[k] + sum(share[site] * change[site][k] for site in SITES) for k in at}
        c = {k: c[k] + sum(share[site] * drift[site][k] for site in SITES) for k in c}
    found = weights(simulation.folder)
    assert_near(found["scaffold"], at)
    assert any(np.abs(found["scaffold"][k] - found["fedavg"][k]).max() > 1e-4 for k in found["fedavg"])


@pytest.mark.usefixtures("undrawn")
def test_one_site_together_is_that_site_alone(prepared, small_plan):
    alone = {"sites.names": ["hospital-2"], "stages": stages(stage("one"), {"kind": "local"})}
    simulation = prepared(small_plan(alone))
    simulate(simulation)
    found = weights(simulation.folder)
    for name, value in found["one"].items():
        np.testing.assert_allclose(value, found["one-local-hospital-2"][name], atol=1e-6)


@pytest.mark.usefixtures("undrawn")
def test_a_second_run_of_the_same_plan_gives_the_same_weights_and_begins_its_own_states(prepared, small_plan):
    """What stays at the sites (heads, personal networks, variates) is of one run."""
    own = [stage(name, strategy=name) for name in ("fedper", "ditto", "scaffold")]
    found = []
    for name in ("first", "second"):
        simulation = prepared(small_plan({"stages": stages(*own)}), name)
        if found:  # the second run is of the same coordinator at the same sites
            before = found[0][0]
            (before.folder / "coordinator").rename(simulation.folder / "coordinator")
            for site, file in simulation.files.items():
                (before.files[site].parent / "state").rename(file.parent / "state")
        results = simulate(simulation)
        candidates = [(one.name, [(s.site, s.auroc) for s in one.scores]) for one in results.candidates]
        found.append((simulation, weights(simulation.folder), candidates))
    (_, one, scores), (again, two, scores_again) = found
    assert json.dumps({k: {n: v.tolist() for n, v in w.items()} for k, w in one.items()}, sort_keys=True) == json.dumps(
        {k: {n: v.tolist() for n, v in w.items()} for k, w in two.items()}, sort_keys=True
    )
    assert scores == scores_again
    kept = list((again.files["hospital-1"].parent / "state" / "networks").iterdir())
    assert len(kept) == 2 * 3 * 2, "two rounds of three strategies that keep something, of each of two runs"
