"""A site's settings are refused with file and key, and say no by default."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from client.settings import CoordinatorSettings, DataSettings, Policy, PrivacySettings, SiteSettings, read
from common.exceptions import ConfigurationError

SMALL = 'name = "alder"\n[data]\nsource = "eicu"\nfolder = "tables"\n'
WHOLE = """
name = "alder"
state = "/var/lib/fedward"

[data]
source = "eicu"
folder = "tables"
by = "hospital"
values = ["56", "58"]

[policy]
tasks = ["in_hospital_mortality"]
minimum_cohort = 50
minimum_cell = 5
share = "curves"

[privacy]
epsilon = 3.0
delta = 1e-7
unprotected = "refuse"

[coordinator]
address = "coordinator.example:8000"
certificate = "ca.crt"
key = "alder.key"
"""


def written(folder: Path, text: str | bytes) -> Path:
    file = folder / "site.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def refusal(folder: Path, text: str | bytes) -> str:
    file = written(folder, text)
    with pytest.raises(ConfigurationError) as error:
        read(file)
    assert str(error.value).startswith(f"{file}: ")
    assert str(folder) not in error.value.public
    return str(error.value)


def test_every_setting_is_read(tmp_path: Path) -> None:
    assert read(written(tmp_path, WHOLE)) == SiteSettings(
        name="alder",
        state="/var/lib/fedward",
        data=DataSettings(source="eicu", folder="tables", by="hospital", values=("56", "58")),
        policy=Policy(tasks=("in_hospital_mortality",), minimum_cohort=50, minimum_cell=5, share="curves"),
        privacy=PrivacySettings(epsilon=3.0, delta=1e-7, unprotected="refuse"),
        coordinator=CoordinatorSettings(address="coordinator.example:8000", certificate="ca.crt", key="alder.key"),
    )


def test_what_is_left_out_allows_little(tmp_path: Path) -> None:
    """No task, twenty patients, cells of eleven (the CMS rule), no counts per score bin, no network."""
    settings = read(written(tmp_path, SMALL))
    assert settings.policy == Policy(tasks=(), minimum_cohort=20, minimum_cell=11, share="summary")
    assert (settings.state, settings.coordinator) == ("state", None)
    assert settings.privacy == PrivacySettings(epsilon=None, delta=1e-6, unprotected="allow")
    assert (settings.data.by, settings.data.values) == ("all", ())


CHANGES: dict[str, tuple[str, str, str]] = {
    "unknown key": ('name = "alder"', 'name = "alder"\ncolour = "red"', "key 'colour'"),
    "unknown key in data": ('folder = "tables"', 'folder = "tables"\nregion = "west"', "key 'data.region'"),
    "unknown key in policy": ("minimum_cell = 5", "minimum_cells = 5", "key 'policy.minimum_cells'"),
    "unknown key of the coordinator": ('key = "alder.key"', 'key = "alder.key"\nport = 1', "key 'coordinator.port'"),
    "no name": ('name = "alder"', "", "key 'name'"),
    "no data": ('[data]\nsource = "eicu"\nfolder = "tables"', "[data]", "key 'data.source'"),
    "coordinator without a key": ('key = "alder.key"', "", "key 'coordinator.key'"),
    "name of a path": ('name = "alder"', 'name = "../alder"', "key 'name'"),
    "name of the wrong case": ('name = "alder"', 'name = "Alder"', "key 'name'"),
    "source that is a path": ('source = "eicu"', 'source = "../eicu"', "key 'data.source'"),
    "division that is no name": ('by = "hospital"', 'by = "../ward"', "key 'data.by'"),
    "numbers for texts": ('["56", "58"]', "[56, 58]", "key 'data.values.0'"),
    "text for a number": ("minimum_cohort = 50", 'minimum_cohort = "50"', "key 'policy.minimum_cohort'"),
    "boolean for a number": ("minimum_cohort = 50", "minimum_cohort = true", "key 'policy.minimum_cohort'"),
    "nobody is enough": ("minimum_cohort = 50", "minimum_cohort = 0", "key 'policy.minimum_cohort'"),
    "a cell that hides one value": ("minimum_cell = 5", "minimum_cell = 2", "key 'policy.minimum_cell'"),
    "unknown key in privacy": ("epsilon = 3.0", "epsilom = 3.0", "key 'privacy.epsilom'"),
    "nothing to spend": ("epsilon = 3.0", "epsilon = 0.0", "key 'privacy.epsilon'"),
    "a delta of one": ("delta = 1e-7", "delta = 1.0", "key 'privacy.delta'"),
    "no delta": ("delta = 1e-7", "delta = 0.0", "key 'privacy.delta'"),
    "half a refusal": ('unprotected = "refuse"', 'unprotected = "ask"', "key 'privacy.unprotected'"),
    "unknown sharing": ('share = "curves"', 'share = "all"', "key 'policy.share'"),
    "infinity": ("minimum_cell = 5", "minimum_cell = inf", "key 'policy.minimum_cell': a date, infinity"),
    "date": ("minimum_cell = 5", "minimum_cell = 2026-01-01", "key 'policy.minimum_cell': a date"),
    "no TOML": ("[data]", "[data", "not TOML"),
}


@pytest.mark.parametrize(("old", "new", "problem"), CHANGES.values(), ids=CHANGES.keys())
def test_a_wrong_setting_is_named(tmp_path: Path, old: str, new: str, problem: str) -> None:
    read(written(tmp_path, WHOLE))  # control
    assert WHOLE.count(old) == 1
    assert problem in refusal(tmp_path, WHOLE.replace(old, new))


def test_every_wrong_setting_is_named_at_once(tmp_path: Path) -> None:
    text = refusal(tmp_path, WHOLE.replace("minimum_cell = 5", "minimum_cell = 0").replace('"alder"', '"Alder"'))
    assert "key 'name'" in text
    assert "key 'policy.minimum_cell'" in text


@pytest.mark.parametrize(
    ("text", "problem"),
    [(b"name = '\xff'", "not UTF-8"), (b"a = " + b"[" * 5000, "not TOML"), (SMALL.encode("utf-16"), "not UTF-8")],
)
def test_what_is_no_text_is_refused(tmp_path: Path, text: bytes, problem: str) -> None:
    assert problem in refusal(tmp_path, text)


def test_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"site\.toml: cannot be read: No such file"):
        read(tmp_path / "site.toml")


def test_settings_cannot_be_changed(tmp_path: Path) -> None:
    settings = read(written(tmp_path, SMALL))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(settings.policy, "share", "curves")  # noqa: B010
