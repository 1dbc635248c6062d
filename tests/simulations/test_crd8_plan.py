"""The shipped study of eight diseases, made small: films, records and both, several labels, to the report."""

from __future__ import annotations

import numpy as np
import pytest

from client.open_sites import open_site
from common.plan import from_json, read
from common.serialization import canonical, parse
from server.results import OVERALL
from simulations.running import prepare, simulate

torch = pytest.importorskip("torch", reason="the extra 'encoders' is not installed")
LABELS = ["copd", "sleep_apnoea"]
TREES = ("image-only", "ehr-only", "both")


def small():
    """Two hospitals with two of the diseases, and as little work as there can be."""
    tree = parse(read("crd8").to_json())
    tree["labels"] = LABELS
    tree["data"]["synthetic"] |= {"hospitals": 2, "stays_per_hospital": 40}
    for stage in tree["stages"]:
        if stage["kind"] == "encoder":
            stage |= {"rounds": 1, "width": 8, "size": 32}
        if stage["kind"] == "boosting":
            stage |= {"rounds": 1, "trees_per_round": 2}
        if stage["kind"] == "local":
            stage["trees"] = 2
        if stage["kind"] == "evaluate":
            stage["bootstraps"] = 100
    return from_json(canonical(tree).decode())


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run it; the sites may tell counts from 3. Also say what the trees of films saw."""
    simulation = prepare(small(), tmp_path_factory.mktemp("crd8") / "run", data=None, engine="in-process")
    for file in simulation.files.values():
        file.write_text(file.read_text().replace("minimum_cohort", "minimum_cell = 3\nminimum_cohort"))
    found = simulate(simulation)
    plan, saw = simulation.plan, {}
    for name, file in simulation.files.items():
        site = open_site(file)
        site.run = found.run
        films = site.cohort(plan).images.present
        saw[name] = films, site.table_for(plan, "image-only", "copd", 7, 0), site.table_for(plan, "both", "copd", 7, 0)
    return simulation, found, saw


def test_all_three_are_tried_on_every_label(run):
    simulation, found, _ = run
    for label in LABELS:
        names = {one.name for one in found.candidates if one.label == label}
        assert {*TREES, "film", "pooled", "film pooled", "mean of local", "film mean of local"} <= names
    assert {(one.name, one.label) for one in found.models if one.name in TREES} == {
        (name, label) for name in TREES for label in LABELS
    }
    assert [one.label for one in found.models if one.name == "film"] == [""]  # one network for all
    assert {one.over for one in found.macro if one.site == OVERALL} <= {1, 2}
    assert "Which label is predicted by what" in (simulation.folder / "report.html").read_text()


def test_a_patient_without_a_film_is_missing_and_not_zero(run):
    for films, images, both in run[2].values():
        assert 0 < films.sum() < len(films)
        assert np.isnan(images.features[~films]).all()
        assert np.isfinite(images.features[films]).all()
        embedded = [place for place, modality in enumerate(both.modalities) if modality == "embedding"]
        assert np.array_equal(both.features[:, embedded], images.features, equal_nan=True)
        assert np.isfinite(both.features[~films]).any()
