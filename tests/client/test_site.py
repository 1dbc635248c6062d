"""A site keeps what its runs need, and lets go of what they do not."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from client.open_sites import open_site
from client.site import Site
from client.training.store import UNUSED_SECONDS
from common.boosting.model import Model, ModelHeader
from common.exceptions import DataError
from common.plan import Plan

HEADER = ModelHeader(0.25, ("age",))
MODEL = Model(HEADER).append([b"{}"])


def test_a_new_run_removes_the_models_that_no_run_has_used_for_long(ward: Any, plan: Plan) -> None:
    now = [0.0]
    site = Site(ward.file, clock=lambda: now[0])
    site.models.put(MODEL, begins_with=HEADER.digest)
    folder: Path = ward.file.parent / "state" / "models"
    (file,) = folder.iterdir()
    written = file.stat().st_mtime
    for run, moment, kept in (
        ("run-1", written, True),
        ("run-2", written + UNUSED_SECONDS - 1, True),
        ("run-1", written + UNUSED_SECONDS + 1, True),  # not a new run
        ("run-3", written + UNUSED_SECONDS + 1, False),
    ):
        now[0] = moment
        site.receive_plan(run, plan)
        assert file.exists() == kept, (run, moment)


def test_other_modalities_are_another_table(ward: Any, plan_with: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[tuple[str, ...]] = []

    def load(_: Site, plan: Plan) -> Any:
        opened.append(plan.modalities)
        raise DataError("not here", file="cohort")

    ward.site.table(ward.plan)
    monkeypatch.setattr(Site, "_load", load)
    ward.site.table(ward.plan)
    with pytest.raises(DataError):
        ward.site.table(plan_with(modalities=["table", "series"]))
    assert opened == [("table", "series")]


def changed(file: Path) -> None:
    """Give the settings another time of change."""
    later = file.stat().st_mtime_ns + 10**9
    os.utime(file, ns=(later, later))


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> list[Site]:
    """Sites closed so far."""
    found: list[Site] = []
    close: Callable[[Site], None] = Site.close
    monkeypatch.setattr(Site, "close", lambda site: (found.append(site), close(site)))
    return found


def test_a_site_whose_settings_change_is_replaced_and_closed(ward: Any, closed: list[Site]) -> None:
    before = ward.site
    assert ward.site is before
    assert closed == []
    changed(ward.file)
    after = ward.site
    assert after is not before
    assert ward.site is after
    assert closed == [before]


def test_settings_that_are_wrong_leave_the_site_as_it_was(ward: Any, closed: list[Site]) -> None:
    before, text = ward.site, ward.file.read_text()
    ward.file.write_text("name = 7")
    changed(ward.file)
    with pytest.raises(Exception, match="key 'name'"):
        open_site(ward.file)
    assert closed == []
    ward.file.write_text(text)
    changed(ward.file)
    assert ward.site is not before
    assert closed == [before]


@pytest.mark.timeout(30)
def test_a_site_is_not_closed_while_a_thread_is_at_work_in_it(ward: Any, closed: list[Site]) -> None:
    before = ward.site
    found: list[Site] = []
    opener = threading.Thread(target=lambda: found.append(open_site(ward.file)), daemon=True)
    with before.lock:
        changed(ward.file)
        opener.start()
        opener.join(0.2)
        assert opener.is_alive()
        assert closed == []
        after = open_site(ward.file)  # others need not wait for it
    opener.join()
    assert found == [after]
    assert closed == [before]
