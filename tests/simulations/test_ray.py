"""Flower's Ray engine gives the models of the in-process engine, and its failures keep their names."""

from __future__ import annotations

import gc
import importlib
import logging
import os

import pytest
from flwr.app import Context, RecordDict
from flwr.supercore import telemetry

import client.app
from common.exceptions import ConfigurationError, DeploymentError
from common.plan import read
from common.stages import LocalStage
from simulations import ray as engine
from simulations.benchmarks.base import trivial_plan
from simulations.running import prepare, simulate

# Ray leaves handles on /dev/null and its daemons' processes to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore:.*Tip. In future versions:FutureWarning")
WRONG = {"run": "Not a Run's Name", "plan": read("demo").to_json(), "engine": "ray"}


@pytest.fixture
def without_ray(monkeypatch):
    """Replace the part of Flower's engine that starts Ray."""
    simulation = importlib.import_module("flwr.simulation.run_simulation")  # the package hides it behind a function
    return lambda start: monkeypatch.setattr(simulation.vce, "start_vce", start)


def models(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*-seed1-fold0.json")}


@pytest.mark.timeout(180)
def test_ray_and_in_process_models_are_equal_to_the_byte(tmp_path):
    import ray

    plan = trivial_plan(3, "fedxgb_bagging", 3)
    plan = plan.model_copy(update={"stages": (*plan.stages[:2], LocalStage(kind="local", trees=2), plan.stages[2])})
    before = dict(os.environ), telemetry.create_event, logging.getLogger("flwr").level
    for name in ("in-process", "ray"):
        simulate(prepare(plan, tmp_path / name, data=None, engine=name))
    found = models(tmp_path / "in-process")
    assert len(found) == 4
    assert all(b'"num_trees":"0"' not in model for model in found.values())
    assert models(tmp_path / "ray") == found
    assert not ray.is_initialized()
    assert (dict(os.environ), telemetry.create_event, logging.getLogger("flwr").level) == before
    gc.collect()


def test_each_numbered_node_is_the_site_of_that_place_in_the_order_of_names(tmp_path, monkeypatch):
    monkeypatch.setattr(client.app, "app", lambda message, context: (message, context.node_config, context.run_config))
    files = {name: tmp_path / f"{name}.toml" for name in ("cedar", "alder", "birch")}
    app = engine.SiteApp(files, {"plan": "p"})
    for number, name in enumerate(("alder", "birch", "cedar")):
        context = Context(1, 7, {"partition-id": number}, RecordDict(), {})
        assert app("message", context) == ("message", {"site": str(files[name])}, {"plan": "p"})
        assert context.node_config == {"partition-id": number}


def test_the_error_of_the_server_app_reaches_the_caller_and_flower_hears_of_nothing(without_ray, monkeypatch):
    reported = []
    monkeypatch.setattr(telemetry, "create_event", lambda *event: reported.append(event))
    without_ray(lambda **given: given["f_stop"].wait(30))
    with pytest.raises(ConfigurationError, match="lower-case letters"):
        engine.run({}, WRONG)
    assert reported == []
    telemetry.event("control").result(5)
    assert reported == [("control", None)]


def test_a_failure_of_ray_itself_says_so(without_ray):
    def start(**given):
        given["f_stop"].wait(30)
        raise ValueError("no actors")

    without_ray(start)
    with pytest.raises(DeploymentError, match="Ray engine failed: no actors"):
        engine.run({}, WRONG)
