"""A name means the same wherever it is written: settings, plans, messages, kits."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from client.settings import read as read_settings
from common.exceptions import ConfigurationError, PlanError
from common.names import NAME, RUN_NAME, Name, RunName
from common.payload import Header
from common.plan import read as read_plan
from server.provisioning import provision
from server.settings import check_run_name

SOUND = ["a", "7", "alder", "hospital-1", "a--b", "a" * 40]
NO_NAMES = ["", "-", "alder-", "-alder", "Alder", "al der", "al/der", "../alder", "alder\n", "älder", "a" * 41]


def by_message(name: str, _: Path) -> None:
    Header(run="trial", sender=name, head_sequence=0, head_hash="0" * 64)


def by_plan(name: str, _: Path) -> None:
    read_plan("demo").inviting((name, "hospital-2", "hospital-3"))


def by_settings(name: str, folder: Path) -> None:
    text = name.replace("\n", "\\n")
    (folder / "site.toml").write_text(f'name = "{text}"\n[data]\nsource = "eicu"\nfolder = "tables"\n')
    read_settings(folder / "site.toml")


def by_kit(name: str, folder: Path) -> None:
    provision(folder / "coordinator", sites=[name], clock=lambda: datetime(2026, 11, 20, tzinfo=UTC))


@pytest.mark.parametrize("write", [by_message, by_plan, by_settings, by_kit])
def test_every_place_takes_the_same_names(write: Callable[[str, Path], None], tmp_path: Path) -> None:
    for name in SOUND:
        write(name, tmp_path)
    for name in NO_NAMES:
        with pytest.raises((ValidationError, PlanError, ConfigurationError)):
            write(name, tmp_path)


@pytest.mark.parametrize("write", [by_plan, by_kit, by_settings])
@pytest.mark.parametrize("name", ["coordinator", "overall"])
def test_no_site_is_called_like_another_party_or_the_row_of_all(
    write: Callable[[str, Path], None], name: str, tmp_path: Path
) -> None:
    with pytest.raises((PlanError, ConfigurationError), match=f"no site can be called '?{name}"):
        write(name, tmp_path)


def taken(adapter: TypeAdapter[str], text: str) -> bool:
    try:
        return adapter.validate_python(text) == text
    except ValidationError:
        return False


TEXTS = st.text(st.sampled_from("az09-_.A \n"), max_size=45) | st.text(st.sampled_from("a-"), min_size=38, max_size=82)


@given(TEXTS)
def test_both_readers_of_a_pattern_agree_with_its_description(text: str) -> None:
    sound = bool(text) and set(text) <= set("az09-") and text[0] != "-"
    name, run = sound and len(text) <= 40 and text[-1] != "-", sound and len(text) <= 80
    assert taken(TypeAdapter(Name), text) == bool(re.fullmatch(NAME, text)) == name
    assert taken(TypeAdapter(RunName), text) == bool(re.fullmatch(RUN_NAME, text)) == run
    if run:
        assert check_run_name(text) == text
    else:
        with pytest.raises(ConfigurationError):
            check_run_name(text)
