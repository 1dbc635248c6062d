"""The command that exports a site's records: audited, keyed, and silent about whom it wrote."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from client.__main__ import app
from client.datasets import fhir
from client.datasets.base import ALL
from client.exporting.site import export_site
from common.audit.event import Kind
from common.audit.log import AuditLog
from common.exceptions import AuditError, ConfigurationError
from tests.reading import cache_in

PERSON = {"resourceType": "Patient", "id": "canary-person", "gender": "female", "birthDate": "1950-04-01"}
VISIT = {
    "resourceType": "Encounter",
    "id": "canary-visit",
    "status": "finished",
    "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
    "subject": {"reference": "Patient/canary-person"},
    "period": {"start": "2020-01-01T10:00:00Z", "end": "2020-01-03T10:00:00Z"},
}


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    """A kit over one patient's bundle."""
    folder = tmp_path / "kit"
    (folder / "bundles").mkdir(parents=True)
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": PERSON}, {"resource": VISIT}]}
    (folder / "bundles" / "one.json").write_text(json.dumps(bundle))
    (folder / "site.toml").write_text('name = "alder"\n[data]\nsource = "fhir"\nfolder = "bundles"\n')
    return folder


def test_an_export_is_audited_and_reads_back(kit: Path, tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["export", str(kit), "--to", str(tmp_path / "out")])
    assert shown.exit_code == 0, shown.output
    assert "Encounter" in shown.output
    assert "canary" not in shown.output
    assert not any("canary" in file.read_text() + file.name for file in (tmp_path / "out").iterdir())
    again = fhir.read(tmp_path / "out", ALL, (), cache_in(tmp_path / "cache"))
    assert (len(again.patients), len(again.admissions)) == (1, 1)
    with AuditLog(kit / "state" / "audit.sqlite", "alder") as log:
        (entry,) = log.entries()
    assert entry.event.kind is Kind.DATA_EXPORTED
    assert entry.event.details["patients"] == 1


def test_what_cannot_be_audited_is_not_exported(kit: Path, tmp_path: Path) -> None:
    (kit / "state" / "audit.sqlite").mkdir(parents=True)
    with pytest.raises(AuditError):
        export_site(kit, tmp_path / "out", notes=False)
    assert not (tmp_path / "out").exists()


def test_a_folder_in_use_is_refused_before_anything_is_read_or_audited(kit: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old.json").write_text("{}")
    shown = CliRunner().invoke(app, ["export", str(kit), "--to", str(tmp_path / "out")])
    assert isinstance(shown.exception, ConfigurationError)
    assert "not empty" in str(shown.exception)
    assert not (kit / "state").exists()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["old.json"]
