"""MIMIC-CXR-JPG in its official layout, linked to MIMIC-IV's admissions where its tables lie beside it.

Johnson et al., Scientific Data 2019 (6:317). ``mimic-cxr-2.0.0-metadata.csv.gz`` lists the films, which lie at
``files/p10/p10000032/s50414267/<dicom_id>.jpg``; findings are those of the CheXpert labeller, or of
NegBio where its table is missing. Both sets count time on the same shifted calendar of each person,
so a film's study date and time place it within an admission. Where the folder also holds MIMIC-IV's
``hosp`` and ``icu``, admissions, stays and all else are read as ``mimic_iv`` reads them.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from client.datasets import mimic_iv
from client.datasets.base import ALL, Select
from client.datasets.reading import films
from client.datasets.reading.cache import Cache
from client.datasets.reading.csv import Tables
from client.datasets.reading.films import Listing
from client.datasets.reading.rows import Rows
from common.clinical.findings import CHEXPERT, NOT_MENTIONED
from common.clinical.records import Patients, Records
from common.clinical.subset import of_patients
from common.exceptions import DataError
from common.serialization import digest_json

DIVISIONS = ("split",)
PARTS = mimic_iv.PARTS | {"images"}
RELEASE = "mimic-cxr-2.0.0"
SPLITS = ("train", "validate", "test")
LABELLERS = ("chexpert", "negbio")
PERSON, STUDY, FILM, VIEW, DATE, TIME = "subject_id", "study_id", "dicom_id", "viewposition", "studydate", "studytime"
_DATE, _TIME = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})"), re.compile(r"([0-9]{2})([0-9]{2})([0-9]{2})(\.[0-9]+)?")
_EPOCH = datetime(1970, 1, 1)


def read(folder: Path, select: Select, parts: Collection[str], cache: Cache) -> Records:
    """Read one site's films, and what the hospital's tables tell of the same people.

    Parameters
    ----------
    folder : Path
        Holds the metadata table, ``files``, optionally the labellers' and the split table, and
        optionally the folders of MIMIC-IV.
    select : Select
        By "split": the people of "train", "validate", "test".
    parts, cache
        See :class:`client.datasets.base.Dataset`; films are always read.

    Raises
    ------
    DataError
        When a table, column, row or value is not as documented, or a person is in two splits.
    """
    with Tables(folder) as tables:
        rows = tables.read(f"{RELEASE}-metadata", [FILM, PERSON, STUDY, VIEW, DATE, TIME])
        for column in (FILM, PERSON, STUDY):
            rows.require_filled(column)
        rows.require_unique(FILM)
        if select.values:
            rows = rows.take(np.isin(rows.columns[PERSON], _people(tables, select.values)))
        listing = _listing(rows, _findings(tables, rows))
        if not (folder / "hosp").is_dir():
            return films.records(folder, listing, np.full(len(rows), np.nan), tables.digest)
        hospital = mimic_iv.read(folder, ALL, mimic_iv.PARTS & set(parts), cache)
        if select.values:
            hospital = of_patients(hospital, np.isin(hospital.patients.identifier, listing.person))
        return _with_films(hospital, folder, listing, tables.digest)


def sites(folder: Path, by: str) -> dict[str, Select]:
    """Tell how the folder divides: `train`, `validate` and `test`, which share no person."""
    with Tables(folder) as tables:
        splits = set(_split_table(tables).columns["split"])
    return {name: Select(by, (name,)) for name in SPLITS if name in splits}


def _with_films(hospital: Records, folder: Path, listing: Listing, tables_digest: str) -> Records:
    """Add the films, and the people whom only they tell of, after all others."""
    known = hospital.patients
    strangers = np.setdiff1d(listing.person, known.identifier)
    people = np.concatenate([known.identifier, strangers])
    images, films_digest = films.images(folder, listing, people)
    return replace(
        hospital,
        patients=Patients(people, np.concatenate([known.male, np.full(len(strangers), np.nan, np.float32)])),
        images=images,
        digest=digest_json([hospital.digest, tables_digest, films_digest]),
    )


def _split_table(tables: Tables) -> Rows:
    rows = tables.read(f"{RELEASE}-split", [PERSON, "split"])
    split = rows.decode("split", {name: float(i) for i, name in enumerate(SPLITS)})
    person, place = np.unique(rows.columns[PERSON].astype(np.str_), return_inverse=True)
    first = np.full(len(person), np.nan)
    first[place[::-1]] = split[::-1]
    wrong = np.flatnonzero(split != first[place])
    if len(wrong):
        problem = "the split is empty, or another one than in an earlier row of the same person"
        raise DataError(problem, file=rows.file, row=int(rows.numbers[wrong[0]]), field="split")
    return rows


def _people(tables: Tables, splits: Collection[str]) -> NDArray[np.object_]:
    rows = _split_table(tables)
    if absent := sorted(set(splits) - set(rows.columns["split"])):
        raise DataError(f"no film in split {', '.join(absent)}", file=rows.file, field="split")
    return np.unique(rows.columns[PERSON][np.isin(rows.columns["split"], list(splits))])


def _findings(tables: Tables, rows: Rows) -> NDArray[np.int8]:
    """Read the findings of each film's study; a study that the labeller's table leaves out has none mentioned."""
    table = next((f"{RELEASE}-{name}" for name in LABELLERS if tables.has(f"{RELEASE}-{name}")), None)
    if table is None:
        return np.full((len(rows), len(CHEXPERT)), NOT_MENTIONED, np.int8)
    told = tables.read(table, [PERSON, STUDY, *(name.lower() for name in CHEXPERT)])
    told.require_unique(STUDY)
    position = {key: i for i, key in enumerate(zip(told.columns[PERSON], told.columns[STUDY], strict=True))}
    nothing = np.full((1, len(CHEXPERT)), NOT_MENTIONED, np.int8)
    labelled = np.concatenate([films.labels(told, {name: name.lower() for name in CHEXPERT}), nothing])
    studies = zip(rows.columns[PERSON], rows.columns[STUDY], strict=True)
    return labelled[[position.get(study, -1) for study in studies]]


def _listing(rows: Rows, findings: NDArray[np.int8]) -> Listing:
    person, study, film = (rows.columns[name].tolist() for name in (PERSON, STUDY, FILM))
    return Listing(
        file=rows.file,
        field=FILM,
        row=rows.numbers,
        person=np.array(person, np.str_),
        study=np.array(study, np.str_),
        time=_hours(rows),
        path=np.array(
            [f"files/p{p[:2]}/p{p}/s{s}/{f}.jpg" for p, s, f in zip(person, study, film, strict=True)], np.str_
        ),
        view=np.array([films.view(text) for text in rows.columns[VIEW]], np.str_),
        findings=findings,
        finding_names=CHEXPERT,
    )


def _hours(rows: Rows) -> NDArray[np.float64]:
    """Hours since 1970 to each study, NaN where date or time is empty; times lack their leading zeros."""
    found = np.full(len(rows), np.nan)
    cells = zip(rows.numbers, rows.columns[DATE], rows.columns[TIME], strict=True)
    for i, (number, date, time) in enumerate(cells):
        if not date or not time:
            continue
        whole, point, fraction = time.partition(".")
        day, clock = _DATE.fullmatch(date), _TIME.fullmatch(whole.zfill(6) + point + fraction)
        try:
            if not day or not clock:
                raise ValueError
            moment = datetime(*(int(part) for part in (*day.groups(), *clock.groups()[:3])))  # type: ignore[arg-type]
        except ValueError:
            field = TIME if day else DATE
            raise DataError("not a date and time", file=rows.file, row=int(number), field=field) from None
        found[i] = ((moment - _EPOCH).total_seconds() + float(clock[4] or 0)) / 3600
    return found
