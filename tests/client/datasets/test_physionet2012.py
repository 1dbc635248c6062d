"""The PhysioNet 2012 adapter on small archives written by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import common
from client.datasets import physionet2012
from client.datasets.base import ALL, Select
from client.datasets.reading.challenge_records import VARIABLES
from common.exceptions import DataError
from tests.client.datasets.challenge import HEADER, fill, read, record, refused, tar, two
from tests.reading import cache_in


def test_two_records_by_hand(tmp_path: Path) -> None:
    records = read(fill(tmp_path / "data", two()))
    assert records.patients.identifier.tolist() == ["9001", "9002"]
    assert records.patients.male.tolist() == [0, 1]
    assert records.admissions.age.tolist() == [81, 90]
    assert records.admissions.died.tolist() == [1, 0]
    assert records.stays.unit.tolist() == ["medical", "coronary"]
    assert np.isnan([records.stays.end, records.admissions.end, records.admissions.death]).all()
    assert records.known is not None
    assert records.known.names[:4] == ("age", "male", "height", "weight")
    assert records.known.names[4:] == tuple(
        f"unit={name}" for name in ("coronary", "cardiac-surgery-recovery", "medical", "surgical")
    )
    assert records.known.values[0].tolist() == [81, 0, 160, 76, 0, 0, 1, 0]
    assert np.isnan(records.known.values[1]).all()  # nothing was recorded of the second one
    assert records.known.recorded.tolist() == [True, False]
    found = records.measurements
    assert found is not None
    names = [found.names[variable] for variable in found.variable]
    rows = list(zip(found.time.tolist(), names, found.value.tolist(), strict=True))
    assert rows == [
        (0.0, "weight", 76.0),
        (7 / 60, "heart_rate", 73.0),
        (1.5, "heart_rate", 80.5),
        (1.5, "mechanical_ventilation", 1.0),
        (48.0, "ph", np.float32(7.31)),
    ]
    assert found.admission.tolist() == [0] * 5


def test_measurements_are_left_out_when_nobody_wants_them(tmp_path: Path) -> None:
    folder = fill(tmp_path / "data", two())
    bare = physionet2012.read(folder, ALL, frozenset(), cache_in(folder / "cache"))
    assert bare.measurements is None
    assert bare.digest == read(folder).digest


@pytest.mark.parametrize("form", ["zip", "folder"])
def test_every_form_holds_the_same(tmp_path: Path, form: str) -> None:
    packed, other = read(fill(tmp_path / "tar", two())), read(fill(tmp_path / form, two(), form))
    for part in ("patients", "admissions", "stays", "known", "measurements"):
        for name, values in vars(getattr(packed, part)).items():
            assert np.array_equal(
                values,
                getattr(getattr(other, part), name),
                equal_nan=isinstance(values, np.ndarray) and values.dtype.kind == "f",
            )


def test_the_archive_is_read_where_several_forms_are_there(tmp_path: Path) -> None:
    folder = fill(tmp_path / "data", {"9001": record(9001, Age="50")}, "zip")
    assert read(folder).admissions.age.tolist() == [50]
    fill(folder, {"9001": record(9001, Age="60")}, "tar.gz")
    assert read(folder).admissions.age.tolist() == [60]


def test_sets_are_joined_and_any_may_be_absent(tmp_path: Path) -> None:
    folder = fill(tmp_path / "data", two())
    (folder / "set-c.tar.gz").write_bytes(tar({"9003": record(9003, ICUType="4")}))
    (folder / "Outcomes-c.txt").write_text(HEADER + "9003,6,1,5,3,1\n")
    records = read(folder)
    assert records.patients.identifier.tolist() == ["9001", "9002", "9003"]
    assert records.admissions.died.tolist() == [1, 0, 1]
    assert records.measurements is not None
    assert set(records.measurements.admission.tolist()) == {0, 2}


@pytest.mark.parametrize("form", ["tar.gz", "folder"])
def test_windows_line_ends_a_mark_at_the_front_and_no_last_line_end_change_nothing(tmp_path: Path, form: str) -> None:
    plain = read(fill(tmp_path / "plain", {"9001": record(9001)}))
    marked = b"\xef\xbb\xbf" + record(9001).rstrip("\n").replace("\n", "\r\n").encode()
    outcomes = "\ufeff" + HEADER.replace("\n", "\r\n") + "9001,6,1,5,-1,1\r\n"
    other = read(fill(tmp_path / "other", {"9001": marked}, form, outcomes))
    assert plain.measurements is not None
    assert other.measurements is not None
    assert other.measurements.value.tolist() == plain.measurements.value.tolist()
    assert other.admissions.died.tolist() == plain.admissions.died.tolist() == [1]


def test_values_outside_their_range_and_minus_one_are_missing(tmp_path: Path) -> None:
    series = (
        "00:10,Weight,0\n00:20,pH,735\n00:30,HR,-1\n00:40,WBC,12500\n00:50,SysABP,0\n01:00,NISysABP,120\n02:00,K,\n"
    )
    texts = {
        "9001": record(9001, series, Gender="-1", Height="18", Weight="-1"),
        "9002": record(9002, "00:10,HR,0\n", ICUType="1"),
    }
    folder = fill(tmp_path / "data", texts)
    records = read(folder, Select("unit", ("medical",)))
    outside = {each.field: (each.values, each.below, each.above, each.rows) for each in records.implausible}
    assert outside == {
        "Height": (1, 1, 0, (1,)),
        "Weight": (1, 1, 0, (1,)),
        "pH": (1, 0, 1, (1,)),
        "WBC": (1, 0, 1, (1,)),
        "SysABP": (1, 1, 0, (1,)),
    }
    everywhere = {each.field: each.rows for each in read(folder).implausible}
    assert everywhere == dict.fromkeys(outside, (1,)) | {"HR": (2,)}
    assert records.measurements is not None
    assert [records.measurements.names[v] for v in records.measurements.variable] == ["noninvasive_systolic_pressure"]
    assert records.known is not None
    assert np.isnan(records.known.values[0, 1:4]).all()
    assert np.isnan(records.patients.male).all()


def test_a_wrong_unit_is_refused(tmp_path: Path) -> None:
    fahrenheit = "".join(f"0{hour}:00,Temp,{98 + hour / 10}\n" for hour in range(6))
    folder = fill(tmp_path / "data", {"9001": record(9001, fahrenheit)})
    error = refused(folder)
    assert error.field == "Temp"
    assert "26 to 45 degC" in str(error)
    (folder / "set-a.tar.gz").write_bytes(tar({"9001": record(9001, fahrenheit.replace("05:00,Temp,98.5\n", ""))}))
    assert len(read(folder).stays) == 1  # five may be errors


def test_lines_out_of_order_are_put_in_order_and_equal_times_keep_theirs(tmp_path: Path) -> None:
    series = "10:00,HR,90\n02:00,HR,81\n02:00,HR,80\n00:00,Weight,75\n"
    found = read(fill(tmp_path / "data", {"9001": record(9001, series)})).measurements
    assert found is not None
    assert found.value.tolist() == [76, 75, 81, 80, 90]
    assert found.time.tolist() == [0, 0, 2, 2, 10]


def test_a_line_that_names_no_parameter_is_passed_over(tmp_path: Path) -> None:
    found = read(fill(tmp_path / "data", {"9001": record(9001, "06:37,,\n07:00,,5\n08:00,HR,70\n")})).measurements
    assert found is not None
    assert found.value.tolist() == [76, 70]


def test_outcomes_are_matched_to_records(tmp_path: Path) -> None:
    rows = "9002,6,1,5,-1,0\n9001,1,1,1,1,1\n"
    folder = fill(tmp_path / "data", two(), outcomes=HEADER + rows)
    assert read(folder).admissions.died.tolist() == [1, 0]
    (folder / "Outcomes-a.txt").write_text(HEADER + "9002,6,1,5,-1,0\n")
    assert read(folder).admissions.died.tolist() == [-1, 0]
    (folder / "Outcomes-a.txt").write_text(HEADER + "9002,6,1,5,-1,\n9001,1,1,1,1,1\n")
    assert read(folder).admissions.died.tolist() == [1, -1]


def test_units_select_their_own_stays_with_their_measurements(tmp_path: Path) -> None:
    texts = {str(n): record(n, f"01:00,HR,{n - 8900}\n", ICUType=str(n % 4 + 1)) for n in range(9000, 9006)}
    folder = fill(tmp_path / "data", texts)
    found = {name: read(folder, select) for name, select in physionet2012.sites(folder, "unit").items()}
    people = {name: part.patients.identifier.tolist() for name, part in found.items()}
    assert people == {
        "coronary": ["9000", "9004"],
        "cardiac-surgery-recovery": ["9001", "9005"],
        "medical": ["9002"],
        "surgical": ["9003"],
    }
    for name, part in found.items():
        assert part.measurements is not None
        rates = part.measurements.value[part.measurements.variable == 15]
        assert rates.tolist() == [int(person) - 8900 for person in people[name]]
    with pytest.raises(DataError, match="no stay in a unit of type Atlantis"):
        read(folder, Select("unit", ("medical", "Atlantis")))


def test_scores_and_days_of_the_outcome_file_reach_nothing(tmp_path: Path) -> None:
    plain = read(fill(tmp_path / "plain", two()))
    planted = HEADER + "9001,97531,97531,97531,97531,1\n9002,97531,97531,97531,97531,0\n"
    other = read(fill(tmp_path / "planted", two(), outcomes=planted))
    for part in ("patients", "admissions", "stays", "known", "measurements"):
        for values in vars(getattr(other, part)).values():
            assert not (isinstance(values, np.ndarray) and values.dtype.kind == "f" and (values == 97531).any())
    assert other.references == plain.references == {}


def test_the_variables_are_those_of_the_challenge_in_the_field_s_order() -> None:
    order = (
        "Weight ALP ALT AST Albumin BUN Bilirubin Cholesterol Creatinine DiasABP FiO2 GCS Glucose HCO3 HCT HR K "
        "Lactate MAP MechVent Mg NIDiasABP NIMAP NISysABP Na PaCO2 PaO2 Platelets RespRate SaO2 SysABP Temp "
        "TroponinI TroponinT Urine WBC pH"
    )
    assert [variable.parameter for variable in VARIABLES] == order.split()
    assert len({variable.name for variable in VARIABLES}) == 37
    assert all(low < high for low, high in (variable.range for variable in VARIABLES))


def test_names_shared_with_other_sources_have_their_units() -> None:
    text = (Path(common.__file__).parent / "codes" / "variables.json").read_text(encoding="utf-8")
    shared = {entry["name"]: entry["unit"] for entry in json.loads(text)["variables"]}
    own = {variable.name: variable.unit for variable in VARIABLES}
    assert {name: own[name] for name in own.keys() & shared.keys()} == {
        n: shared[n] for n in own.keys() & shared.keys()
    }
    assert {"heart_rate", "ph", "temperature"} <= own.keys() & shared.keys()
