"""Sites of one simulation that have a folder, and a source, of their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from client.datasets.base import ALL
from client.settings import read
from common.exceptions import ConfigurationError, PlanError
from common.plan import Plan, shipped
from common.plan import read as read_plan
from simulations.running import prepare, simulate
from simulations.sites import own_folder, partition, read_folders

PlanOf = Callable[..., Plan]
TWO = {
    "sites.partition": "folder",
    "sites.names": ["north", "south"],
    "data.sources": {"south": "image_table"},
    "stages": [
        {"kind": "statistics"},
        {"kind": "encoder", "name": "films", "encoders": {"images": "resnet"}, "rounds": 1, "size": 32, "width": 8},
        {"kind": "evaluate", "share": "curves", "bootstraps": 100},
    ],
    "data.source": "nih_cxr",
    "task": "abnormal_film",
    "labels": [],
    "modalities": ["images"],
    "split": {"folds": 2, "held_out": [0, 1]},
}
FILMS = 64
"""A site; one a patient."""


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    """Give a folder in each of two layouts, of films that are bright where they are abnormal."""
    homes = {name: tmp_path / "data" / name for name in ("north", "south")}
    north = ["Image Index,Finding Labels,Patient ID,View Position,Patient Gender"]
    south = ["path,patient,view,No Finding,Pneumonia"]
    for name in homes:
        homes[name].mkdir(parents=True)
    for number in range(FILMS):
        abnormal = number % 2
        for home in homes.values():
            _draw(home / f"{number}.png", 60 + 120 * abnormal)
        north.append(f"{number}.png,{'Pneumonia' if abnormal else 'No Finding'},{number},PA,F")
        south.append(f"{number}.png,{number},PA,{1 - abnormal},{abnormal}")
    (homes["north"] / "Data_Entry_2017.csv").write_text("\n".join([*north, ""]))
    (homes["south"] / "images.csv").write_text("\n".join([*south, ""]))
    return homes


def _draw(path: Path, grey: int) -> None:
    from PIL import Image

    film = Image.new("L", (32, 32), grey)
    film.paste(grey + 20, (8, 8, 16, 16))
    film.save(path)


def test_each_site_is_told_its_own_source_and_folder(
    tmp_path: Path, small_plan: PlanOf, folders: dict[str, Path]
) -> None:
    simulation = prepare(small_plan(TWO), tmp_path / "runs" / "two", data=folders, engine="in-process")
    told = {site: read(file).data for site, file in simulation.files.items()}
    assert {site: data.source for site, data in told.items()} == {"north": "nih_cxr", "south": "image_table"}
    assert {site: Path(data.folder) for site, data in told.items()} == folders
    assert {data.by for data in told.values()} == {"all"}


def test_two_layouts_make_one_model_that_is_judged_at_both(
    tmp_path: Path, small_plan: PlanOf, folders: dict[str, Path]
) -> None:
    pytest.importorskip("torch", reason="the extra 'encoders' is not installed")
    simulation = prepare(small_plan(TWO), tmp_path / "runs" / "two", data=folders, engine="in-process")
    found = simulate(simulation, pooled=False)
    assert [(site.name, site.patients) for site in found.sites] == [("north", FILMS), ("south", FILMS)]
    assert [one.name for one in found.candidates] == ["films"]
    assert {score.site for score in found.candidates[0].scores if score.auroc} == {"north", "south", "overall"}


def test_folders_called_like_the_sites_may_lie_in_one(small_plan: PlanOf, folders: dict[str, Path]) -> None:
    plan, data = small_plan(TWO), folders["north"].parent
    assert partition(plan, data) == partition(plan, folders) == {"north": ALL, "south": ALL}
    assert own_folder(plan, data, "south") == own_folder(plan, folders, "south") == folders["south"]


def test_a_site_without_a_folder_is_refused(small_plan: PlanOf, folders: dict[str, Path]) -> None:
    with pytest.raises(PlanError, match="no data for south; sites here: north"):
        partition(small_plan(TWO), {"north": folders["north"]})
    with pytest.raises(PlanError, match="no data for south; sites here: north"):
        partition(small_plan(TWO), {**folders, "south": folders["south"] / "nowhere"})


def test_a_folder_a_site_is_refused_where_one_is_divided(small_plan: PlanOf, folders: dict[str, Path]) -> None:
    with pytest.raises(PlanError, match="divides one data folder by hospital: say --data FOLDER"):
        partition(small_plan(), folders)


def test_what_the_command_line_says(tmp_path: Path) -> None:
    assert read_folders([]) is None
    assert read_folders(["some/folder"]) == Path("some/folder")
    assert read_folders(["a=x", "b=y=z"]) == {"a": Path("x"), "b": Path("y=z")}
    assert read_folders(["a=x"]) == {"a": Path("x")}
    (tmp_path / "a=b").mkdir()
    assert read_folders([str(tmp_path / "a=b")]) == tmp_path / "a=b", "a folder that is there"
    for wrong in (["x", "y"], ["a=x", "y"], ["a=x", "a=y"]):
        with pytest.raises(ConfigurationError, match="--data is given once, or as SITE=FOLDER once for each site"):
            read_folders(wrong)


def test_a_plan_invites_every_site_whose_source_it_names(small_plan: PlanOf) -> None:
    with pytest.raises(PlanError, match=r"'data.sources' names west, which 'sites.names' does not invite"):
        small_plan({**TWO, "data.sources": {"west": "image_table"}})
    with pytest.raises(PlanError, match="partition = \"folder\" needs 'names'"):
        small_plan({**TWO, "sites.names": [], "data.sources": {}})
    synthetic = {"hospitals": 2, "stays_per_hospital": 12, "seed": 3}
    with pytest.raises(PlanError, match="'sources' and 'synthetic' exclude each other"):
        small_plan({**TWO, "data.synthetic": synthetic})
    plan = small_plan(TWO)
    assert plan.inviting(("north",)).data.sources == {}
    assert [plan.data.source_of(site) for site in ("north", "south")] == ["nih_cxr", "image_table"]


@pytest.mark.parametrize("name", [name for name in shipped() if name.startswith(("xray", "physionet2012"))])
def test_a_shipped_plan_with_noise_keeps_delta_below_one_in_the_patients(name: str) -> None:
    most = {"xray-privacy": 729, "physionet2012-privacy": 2911}
    for stage in read_plan(name).encoders:
        if stage.privacy:
            assert stage.privacy.delta * most[name] < 1
