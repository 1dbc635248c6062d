"""Tables of films become images: CheXpert, NIH and a hospital's own table; what is wrong is named by row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from client.datasets import chexpert, image_table, nih_cxr
from client.datasets.base import ALL, Select
from client.datasets.reading import films
from common.clinical.findings import CHEXPERT
from common.clinical.records import Records
from common.exceptions import DataError
from tests.reading import cache_in

NO_LABELS = "," * (len(CHEXPERT) - 1)
NIH = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position"


def write(folder: Path, table: str, lines: Sequence[str], *paths: str) -> Path:
    """Write a table and films of 4 x 4 pixels."""
    (folder / table).write_text("\n".join(lines) + "\n")
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4)).save(folder / path, "PNG")
    return folder


def read(source: Any, folder: Path, select: Select = ALL) -> Records:
    found: Records = source.read(folder, select, {"images"}, cache_in(folder / "cache"))
    return found


def people(records: Records) -> list[str]:
    return records.patients.identifier[records.images.patient].tolist()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "view"),
    [("PA", "PA"), ("ap", "AP"), ("LEFT_LATERAL", "LL"), ("xtable lateral", "LATERAL"), ("AP AXIAL", ""), ("", "")],
)
def test_views_are_normalised_and_others_are_never_frontal(text: str, view: str) -> None:
    assert films.view(text) == view


def test_a_person_s_sex_is_what_all_rows_agree_on() -> None:
    person = np.array(["a", "b", "b", "c", "c", "d"])
    male = np.array([1, 0, np.nan, 0, 1, np.nan])
    assert np.array_equal(
        films.sexes(np.array(["a", "b", "c", "d"]), person, male), [1, 0, np.nan, np.nan], equal_nan=True
    )


def chexpert_line(path: str, sex: str = "Male", position: str = "Frontal,PA", labels: str = NO_LABELS) -> str:
    return f"CheXpert-v1.0-small/{path},{sex},50,{position},{labels}"


CHEXPERT = ",".join(["Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *CHEXPERT])
PATHS = [f"train/patient00001/study{s}/view{v}_x.jpg" for s, v in ((1, 1), (2, 1), (2, 2))]


def test_chexpert_by_hand(tmp_path: Path) -> None:
    labels = ["1.0,0.0,-1.0" + "," * (len(CHEXPERT) - 3), NO_LABELS, "0" + NO_LABELS]
    positions = ["Frontal,AP", "Frontal,LL", "Lateral,"]
    lines = [
        chexpert_line(path, position=p, labels=found) for path, p, found in zip(PATHS, positions, labels, strict=True)
    ]
    write(tmp_path, "train.csv", [CHEXPERT, *lines], *PATHS)
    other = "valid/patient00002/study1/view1_frontal.jpg"
    write(tmp_path, "valid.csv", [CHEXPERT, chexpert_line(other, "Unknown")], other)
    records = read(chexpert, tmp_path)
    images = records.images
    assert images is not None
    assert people(records) == ["patient00001"] * 3 + ["patient00002"]
    assert np.array_equal(records.patients.male, [1, np.nan], equal_nan=True)
    assert images.path.tolist() == [*PATHS, other]
    assert images.study.tolist() == [f"patient00001/study{n}" for n in (1, 2, 2)] + ["patient00002/study1"]
    assert images.view.tolist() == ["AP", "LL", "LATERAL", "PA"]
    assert images.row.tolist() == [1, 2, 3, 4]
    assert images.findings[:, :4].tolist() == [[1, 0, -1, -2], [-2] * 4, [0, -2, -2, -2], [-2] * 4]
    assert np.isnan(images.time).all()
    assert list(chexpert.sites(tmp_path, "split")) == ["train", "valid"]
    held_out = read(chexpert, tmp_path, Select("split", ("valid",))).images
    assert held_out is not None
    assert (held_out.path.tolist(), held_out.row.tolist()) == ([other], [1])


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (chexpert_line("train/patient00001/view1.jpg"), "row 2, field 'path': an unknown path"),
        (chexpert_line("train/patient00001/study1/../x.jpg"), "row 2, field 'path': an unknown path"),
        (chexpert_line(PATHS[0]), "row 2, field 'path': the same film as in row 1"),
        (chexpert_line(PATHS[1], sex="male"), "row 2, field 'sex': an unknown value"),
        (chexpert_line(PATHS[1], position="Oblique,"), "row 2, field 'frontal/lateral': an unknown value"),
        (chexpert_line(PATHS[1], labels="2" + NO_LABELS), "row 2, field 'atelectasis': an unknown value"),
    ],
)
def test_chexpert_refuses_what_it_does_not_know(tmp_path: Path, line: str, problem: str) -> None:
    write(tmp_path, "train.csv", [CHEXPERT, chexpert_line(PATHS[0]), line], *PATHS)
    with pytest.raises(DataError, match=rf"^train\.csv, {problem}") as caught:
        read(chexpert, tmp_path)
    assert "patient00001" not in str(caught.value)


def test_chexpert_refuses_a_person_in_both_splits(tmp_path: Path) -> None:
    write(tmp_path, "train.csv", [CHEXPERT, chexpert_line(PATHS[0])], PATHS[0])
    both = PATHS[0].replace("train", "valid")
    write(tmp_path, "valid.csv", [CHEXPERT, chexpert_line(both)], both)
    with pytest.raises(DataError, match=r"^valid\.csv, row 1, field 'path': a person of train\.csv too"):
        read(chexpert, tmp_path)
    with pytest.raises(DataError, match="no such split"):
        read(chexpert, tmp_path, Select("split", ("test",)))


def test_nih_by_hand(tmp_path: Path) -> None:
    lines = [
        NIH,
        "00000002_000.png,No Finding,0,2,081Y,M,PA",
        "00000001_001.png,Effusion|Pleural_Thickening,1,1,58,F,AP",
        "00000001_000.png,Mass,0,1,57,F,PA",
        "00000003_000.png,Hernia,0,3,57,,AP",
    ]
    write(tmp_path, "Data_Entry_2017.csv", lines, "images_001/images/00000001_000.png")
    write(tmp_path, "Data_Entry_2017.csv", lines, "images_002/images/00000001_001.png", "00000002_000.png")
    records = read(nih_cxr, tmp_path)
    images = records.images
    assert images is not None
    assert people(records) == ["1", "1", "2"]
    assert np.array_equal(records.patients.male, [0, 1, np.nan], equal_nan=True)
    assert images.path.tolist() == [
        "images_002/images/00000001_001.png",
        "images_001/images/00000001_000.png",
        "00000002_000.png",
    ]
    assert (images.row.tolist(), images.view.tolist()) == ([2, 3, 1], ["AP", "PA", "PA"])
    told = [[images.finding_names[j] for j in np.flatnonzero(row == 1)] for row in images.findings]
    assert told == [["Pleural Effusion", "Pleural Thickening"], ["Mass"], ["No Finding"]]
    assert set(np.unique(images.findings).tolist()) == {0, 1}
    assert dict(images.refused) == {"the file is missing": (4,)}


@pytest.mark.parametrize("found", ["", "Fracture", "Mass|", "Mass|No Finding", "mass"])
def test_nih_refuses_unknown_findings(tmp_path: Path, found: str) -> None:
    write(tmp_path, "Data_Entry_2017.csv", [NIH, f"1.png,{found},0,1,57,F,PA"], "1.png")
    with pytest.raises(DataError, match=r"^Data_Entry_2017\.csv, row 1, field 'finding labels': unknown findings"):
        read(nih_cxr, tmp_path)


def test_nih_refuses_films_that_cannot_be_told_apart(tmp_path: Path) -> None:
    write(tmp_path, "Data_Entry_2017.csv", [NIH, "1.png,Mass,0,1,57,F,PA"], "a/1.png", "b/1.png")
    with pytest.raises(DataError, match="two films of the same name"):
        read(nih_cxr, tmp_path)


def test_a_table_with_default_names(tmp_path: Path) -> None:
    lines = ["path,patient,sex,view,hours,study,EDEMA,Gout", "a.png,p,F,ap,5.5,s,1,", "deep/b.png,p,F,LL,,s,-1,0"]
    images = read(image_table, write(tmp_path, "images.csv", lines, "a.png", "deep/b.png")).images
    assert images is not None
    assert (images.finding_names, images.findings.tolist()) == (("Edema", "gout"), [[1, -2], [-1, 0]])
    assert (images.view.tolist(), images.study.tolist()) == (["AP", "LL"], ["s", "s"])
    assert np.array_equal(images.time, [5.5, np.nan], equal_nan=True)


def test_a_table_of_films_alone(tmp_path: Path) -> None:
    images = read(image_table, write(tmp_path, "images.csv", ["path,patient", "a.png,p", "b.png,q"], "a.png")).images
    assert images is not None
    assert (images.findings.shape, images.view.tolist()) == ((1, 0), [""])
    assert dict(images.refused) == {"the file is missing": (2,)}


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("/etc/passwd,p,1", "row 1, field 'path': not a path below the data folder"),
        ("../a.png,p,1", "row 1, field 'path': not a path below the data folder"),
        ("b/../../a.png,p,1", "row 1, field 'path': not a path below the data folder"),
        (r"b\a.png,p,1", "row 1, field 'path': not a path below the data folder"),
        (",p,1", "row 1, field 'path': an empty cell"),
        ("a.png,,1", "row 1, field 'patient': an empty cell"),
        ("a.png,p,yes", "row 1, field 'edema': an unknown value"),
        ("missing.png,p,1", "none of the films it lists is there"),
    ],
)
def test_a_table_is_refused_by_row(tmp_path: Path, line: str, problem: str) -> None:
    (tmp_path.parent / "a.png").write_bytes(b"")
    lines = ["path,patient,edema", line]
    with pytest.raises(DataError, match=rf"^images\.csv(,|:) {problem}"):
        read(image_table, write(tmp_path, "images.csv", lines, "a.png"))


DESCRIPTION = """
table = "films.csv"
image = "Name"
path = "films/{}.png"
patient = "Person"
every_view = "AP"
findings.Pneumonia = { column = "Kind", present = ["yes"], absent = ["no", ""], uncertain = ["maybe"] }
findings.Death = { column = "Died on", filled = true }
"""


def test_a_described_table(tmp_path: Path) -> None:
    (tmp_path / "images.toml").write_text(DESCRIPTION)
    lines = ["Name,Person,Kind,Died on", "a,p,yes,", "b,q,maybe,day 3", "c,q,,"]
    records = read(image_table, write(tmp_path, "films.csv", lines, *(f"films/{name}.png" for name in "abc")))
    assert records.images is not None
    assert records.images.finding_names == ("Death", "Pneumonia")
    assert records.images.findings.tolist() == [[0, 1], [1, -1], [0, 0]]
    assert records.images.view.tolist() == ["AP"] * 3
    changed = DESCRIPTION.replace('"AP"', '"PA"')
    (tmp_path / "images.toml").write_text(changed)
    assert read(image_table, tmp_path).digest != records.digest, "the description is a part of the data"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("every_view", "everyview"), "unknown key 'everyview'; allowed here: table, image"),
        (("filled = true", "filed = true"), "unknown key 'findings.Death.filed'; allowed here: column, present"),
        (("films/{}.png", "films/x.png"), "key 'path'"),
        (("filled = true", "filled = false"), "key 'findings.Death': either 'filled' is true, or 'present' lists"),
        (('["maybe"]', '["yes"]'), "no text is listed twice"),
        (('every_view = "AP"', 'every_view = "oblique"'), "key 'every_view'"),
        (("table =", "table"), "not TOML"),
        (('"Person"', '"Human"'), "required columns are missing: human"),
    ],
)
def test_a_wrong_description_is_refused_by_key(tmp_path: Path, change: tuple[str, str], problem: str) -> None:
    assert change[0] in DESCRIPTION
    (tmp_path / "images.toml").write_text(DESCRIPTION.replace(*change))
    with pytest.raises(DataError, match=problem.replace("(", r"\(")):
        read(image_table, write(tmp_path, "films.csv", ["Name,Person,Kind,Died on", "a,p,yes,"], "films/a.png"))


def test_a_published_set_is_known_by_its_exact_header(tmp_path: Path) -> None:
    header = "image,orig,split,label,patient,source,orig_w,orig_h"
    write(tmp_path, "metadata.csv", [header, "a.jpg,x,train,Viral-Other,person1,y,1,1"], "images/a.jpg")
    images = read(image_table, tmp_path).images
    assert images is not None
    assert dict(zip(images.finding_names, images.findings[0].tolist(), strict=True)) == {
        "No Finding": 0,
        "Pneumonia": 1,
        "Bacterial Pneumonia": 0,
        "Viral Pneumonia": 1,
    }
    write(tmp_path, "metadata.csv", [header + ",extra", "a.jpg,x,train,Viral-Other,person1,y,1,1,z"])
    with pytest.raises(DataError, match=r"no images\.csv"):
        read(image_table, tmp_path)


def test_the_digest_follows_the_films(tmp_path: Path) -> None:
    write(tmp_path, "images.csv", ["path,patient", "a.png,p", "b.png,p"], "a.png", "b.png")
    before = read(image_table, tmp_path).digest
    assert read(image_table, tmp_path).digest == before
    Image.new("L", (40, 4), 9).save(tmp_path / "b.png")
    assert read(image_table, tmp_path).digest != before


def test_known_findings_have_their_proper_names() -> None:
    header = ["path", "pleural effusion", "mass", "death", "no finding"]
    found = films.finding_columns(header, {"path"})
    assert list(found) == ["Pleural Effusion", "Mass", "death", "No Finding"]
    assert list(found.values()) == header[1:]
