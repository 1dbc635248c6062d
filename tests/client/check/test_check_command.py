"""The check as it is typed: what it tells, what it never tells, and exit codes that are true."""

from __future__ import annotations

import csv
import gzip
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import client.__main__ as client_line
from client.cohorts.loading import read
from client.datasets.base import ALL
from tests.reading import cache_in

Row = dict[str, str]
Check = Callable[..., tuple[int, str]]


@pytest.fixture
def folder(tmp_path: Path, hospital: Path) -> Path:
    """Return a copy of it that a test may change."""
    return shutil.copytree(hospital, tmp_path / "data")


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Check:
    """Run the command; return the exit code, and all that was shown and written."""

    def run(folder: Path, *more: str, task: str = "in_hospital_mortality") -> tuple[int, str]:
        page = tmp_path / "page.html"
        given = ["check", "--data", str(folder), "--source", "eicu", "--task", task, "--html", str(page), *more]
        code, shown = called(*given)
        return code, shown + page.read_text()

    def called(*given: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["fedward-client", *given])
        monkeypatch.setenv("COLUMNS", "300")
        with pytest.raises(SystemExit) as ended:
            client_line.main()
        shown = capsys.readouterr()
        assert shown.err == "" or ended.value.code
        return int(ended.value.code or 0), shown.out + shown.err

    run.called = called  # type: ignore[attr-defined]
    return run


def rewrite(folder: Path, table: str, change: Callable[[int, Row], Row]) -> None:
    path = folder / f"{table}.csv.gz"
    with gzip.open(path, "rt", newline="") as file:
        rows = [change(number, row) for number, row in enumerate(csv.DictReader(file), start=1)]
    with gzip.open(path, "wt", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def test_what_is_told(check: Check, folder: Path) -> None:
    def change(number: int, row: Row) -> Row:
        return row | ({"admissionheight": "18"} if number in (40, 70) else {})

    rewrite(folder, "patient", change)
    code, shown = check(folder)
    assert code == 0
    words = " ".join(re.sub("[│┃━─]", " ", shown).split())
    for said in (
        "(SYNTHETIC patients)",
        "patient.csv.gz 300 29",
        "300 stays",
        "admissionheight 90 to 250 cm",
        "40, 70",
        "less: no APACHE rows",
        "usable",
        "The data can be used",
        '<strong class="badge">SYNTHETIC</strong>',
    ):
        assert said in words, said
    assert shown.count("<svg") == 3
    assert "<script" not in shown
    assert not re.search(r"(src|href)=", shown), "the page stands alone"


def test_a_planted_leak_is_flagged(check: Check, folder: Path) -> None:
    assert "is it known only afterwards" not in check(folder)[1]
    died: dict[str, bool] = {}

    def note(_: int, row: Row) -> Row:
        died[row["patientunitstayid"]] = row["hospitaldischargestatus"] == "Expired"
        return row

    rewrite(folder, "patient", note)
    rewrite(folder, "apacheapsvar", lambda n, row: row | {"urine": str(900 * died[row["patientunitstayid"]] + n % 50)})
    code, shown = check(folder)
    assert code == 0
    assert "'urine' alone tells 'death' (1.00 of 1): is it known only afterwards?" in shown
    assert shown.count('<td class="leak">leak?</td>') == 1


def test_no_identifier_and_no_value_is_ever_told(check: Check, folder: Path) -> None:
    keys = ("patientunitstayid", "patienthealthsystemstayid", "uniquepid")
    for table in ("patient", "apacheapsvar", "apachepredvar", "apachepatientresult"):
        rewrite(folder, table, lambda _, row: {k: f"CANARY{v}" if k in keys else v for k, v in row.items()})
    rewrite(folder, "patient", lambda n, row: row | ({"admissionweight": "987.125"} if n == 3 else {}))
    (folder / "CANARY-film.png").write_bytes(b"")
    records = read("eicu", folder, ALL, frozenset(), cache_in(folder / "cache"))
    assert str(records.patients.identifier[0]).startswith("CANARY"), "the control: it is read"
    code, shown = check(folder)
    assert code == 0
    assert "admissionweight" in shown
    assert "CANARY" not in shown
    assert "987.125" not in shown
    rewrite(folder, "apacheapsvar", lambda n, row: row | ({"heartrate": "CANARY-text"} if n == 7 else {}))
    code, shown = check(folder)
    assert code == 1
    assert "apacheapsvar.csv.gz, row 7, field 'heartrate': an unknown value" in shown
    assert "CANARY" not in shown


def test_names_from_data_are_shown_as_text(check: Check, folder: Path) -> None:
    (folder / "patient.csv.gz").rename(folder / "PATIENT.csv.gz")
    assert "<b>" not in check(folder)[1]
    evil = "<script>alert(1)</script>"
    code, shown = check(folder, "--by", "hospital", "--values", evil)
    assert code == 1
    assert evil not in shown.partition("<!doctype html>")[2]
    assert "&lt;script&gt;" in shown


REFUSED = {
    "a column is missing": (
        lambda folder: rewrite(folder, "apacheapsvar", lambda _, row: {k: v for k, v in row.items() if k != "ph"}),
        (),
        "apacheapsvar.csv.gz: required columns are missing: ph",
    ),
    "a table is missing": (lambda folder: (folder / "apachepredvar.csv.gz").unlink(), (), "no apachepredvar.csv"),
    "too few patients": (
        lambda _: None,
        ("--by", "patient", "--values", "1/20"),
        "patients are left, the policy's minimum is 20",
    ),
    "one answer only": (
        lambda folder: rewrite(folder, "patient", lambda _, row: row | {"hospitaldischargestatus": "Alive"}),
        (),
        "there is only one answer to 'death'",
    ),
    "another unit": (
        lambda folder: rewrite(folder, "patient", lambda _, row: row | {"admissionheight": "1.8"}),
        (),
        "patient.csv.gz, field 'admissionheight': most values are implausible; expected 90 to 250 cm",
    ),
    "no such part": (lambda _: None, ("--modality", "images"), "data source 'eicu' holds no images"),
}


@pytest.mark.parametrize(("spoil", "more", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_used_exits_with_1_and_says_why(
    check: Check, folder: Path, spoil: Callable[[Path], None], more: tuple[str, ...], said: str
) -> None:
    spoil(folder)
    code, shown = check(folder, *more)
    text, page = shown.partition("<!doctype html>")[::2]
    assert code == 1
    assert f"error: {said}" in text or said in text
    assert "not usable" in text
    assert "The data cannot be used as it is" in page
    assert said.replace("'", "&#39;") in page


ASKED = ("--data", ".", "--source", "eicu", "--task", "in_hospital_mortality")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "name a kit and a --plan, or --data, --source and --task"),
        (("--data", "."), 2, "name a kit and a --plan"),
        (("kit",), 2, "a kit is checked for a --plan"),
        (("kit", "--plan", "demo", "--source", "eicu"), 2, "its site.toml says all else"),
        (("--data", ".", "--source", "eicu"), 1, "name a task, one of abnormal_film, "),
        (("--data", ".", "--source", "eicu", "--task", "nosuch"), 1, "nosuch"),
        (("--data", ".", "--source", "nosuch", "--task", "crd8"), 1, "nosuch"),
        (("--data", ".", "--source", "eicu", "--task", "crd8", "--label", "nosuch"), 1, "its labels: copd, asthma"),
        (("--data", ".", "--source", "eicu", "--task", "crd8", "--modality", "x"), 1, "no modality x; there are table"),
        (("--data", ".", "--source", "eicu", "--task", "crd8", "--plan", "demo"), 1, "is about in_hospital_mortality"),
        ((*ASKED, "--label", "nosuch"), 1, "has no label 'nosuch'; its labels: death"),
        ((*ASKED, "--html", "nosuch/page.html"), 2, "there is no folder nosuch for the page"),
        (("--data", "nosuch", "--source", "eicu", "--task", "in_hospital_mortality"), 1, "there is no folder nosuch"),
    ],
)
def test_what_is_asked_wrongly_is_told(
    check: Check, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    found, shown = check.called("check", *arguments)  # type: ignore[attr-defined]
    assert found == code
    assert said in " ".join(shown.replace("│", " ").split())
    assert "Traceback" not in shown
    assert not list(tmp_path.iterdir())


def barred(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Let no file of that name be opened or looked at, as for an account without the right to."""
    for method in ("open", "is_file"):
        real = getattr(Path, method)

        def refuse(path: Path, *given: object, real: Callable[..., object] = real, **named: object) -> object:
            if path.name == name:
                raise PermissionError(13, "Permission denied", str(path))
            return real(path, *given, **named)

        monkeypatch.setattr(Path, method, refuse)
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != name and allowed(path, mode))


def test_a_file_that_may_not_be_read_is_told_and_not_taken_for_damaged(
    check: Check, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    barred(monkeypatch, "apacheapsvar.csv.gz")
    code, shown = check(folder)
    assert code == 1
    assert "apacheapsvar.csv.gz: this account may not read the file" in shown
    assert "damaged" not in shown


def test_a_folder_that_cannot_be_looked_at_is_told_without_a_name(
    check: Check, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "CANARY.png").write_bytes(b"")
    barred(monkeypatch, "CANARY.png")
    code, shown = check(folder)
    assert (code, "CANARY" in shown) == (1, False)
    assert "a file cannot be read: Permission denied" in shown


def test_an_empty_file_is_told(check: Check, folder: Path) -> None:
    (folder / "apacheapsvar.csv.gz").write_bytes(b"")
    code, shown = check(folder)
    assert (code, "error: apacheapsvar.csv.gz: the file is empty" in shown) == (1, True)


def test_a_kit_is_judged_by_its_plan_and_policy(check: Check, folder: Path, tmp_path: Path) -> None:
    def verdict(policy: str) -> tuple[int, str]:
        settings = f'name = "alder"\n[data]\nsource = "eicu"\nfolder = "{folder}"\n[policy]\n{policy}\n'
        (tmp_path / "site.toml").write_text(settings)
        return check.called("check", str(tmp_path), "--plan", "demo")  # type: ignore[attr-defined]

    allowed = 'tasks = ["in_hospital_mortality"]'
    code, shown = verdict(allowed)
    assert (code, "alder can take part in demo" in shown) == (0, True)
    assert "no epsilon bounds what they tell" in shown
    for policy, said in (
        ("tasks = []", "this site's policy does not list task in_hospital_mortality"),
        (f"{allowed}\nminimum_cohort = 1000", "patients are left, the policy's minimum is 1000"),
        (f"{allowed}\nmaximum_epsilon = 1.0", "statistics may cost at most epsilon = 1 here"),
    ):
        code, shown = verdict(policy)
        assert (code, f"error: {said}" in shown or said in shown) == (1, True), policy
        assert "can take part" not in shown


def test_a_plan_says_what_privacy_it_would_cost(check: Check, folder: Path, tmp_path: Path) -> None:
    from common.plan import shipped

    plan = tmp_path / "plan.toml"
    text = shipped()["demo"].replace('kind = "statistics"', 'kind = "statistics"\nepsilon = 0.5')
    plan.write_text(text)
    code, shown = check.called("check", "--data", str(folder), "--source", "eicu", "--plan", str(plan))  # type: ignore[attr-defined]
    assert code == 0
    assert "Statistics cost each patient at most epsilon = 0.5 here, with delta = 0" in shown
