"""Fetching against real local servers: verified, and resumed after every interruption."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from client import fetching
from client.fetching import SOURCES, SUMS, find
from common.exceptions import ConfigurationError, DataError, DeploymentError
from tests.client.fetching.publisher import HOSPITAL, SOURCE, TABLE, Site, Watch, names, published, serving, sums


def test_a_fresh_fetch_puts_the_published_bytes_in_place(tmp_path: Path, watch: Watch) -> None:
    folder = tmp_path / "new" / "folder"
    with serving(Site(published())) as site:
        paths = watch.fetch(site, folder)
    assert paths == [folder / "patient.csv.gz", folder / "hospital.csv.gz"]
    assert [path.read_bytes() for path in paths] == [TABLE, HOSPITAL]
    assert names(folder) == {"patient.csv.gz", "hospital.csv.gz", SUMS}
    assert watch.pauses == []
    reports = [(size, total) for name, size, total in watch.progress if name == "patient.csv.gz"]
    assert reports == sorted(reports)
    assert reports[-1] == (len(TABLE), len(TABLE))


def test_complete_brings_everything_the_publisher_lists(tmp_path: Path, watch: Watch) -> None:
    with serving(Site(published())) as site:
        watch.fetch(site, tmp_path, complete=True)
    assert names(tmp_path) == {"patient.csv.gz", "hospital.csv.gz", "sub/more.csv.gz", SUMS}


def test_files_in_place_are_verified_and_not_asked_for_again(tmp_path: Path, watch: Watch) -> None:
    with serving(Site(published())) as site:
        first = watch.fetch(site, tmp_path)
        site.requests.clear()
        assert watch.fetch(site, tmp_path) == first
    assert site.requests == [(SUMS, None)]
    assert watch.progress[-1] == ("hospital.csv.gz", len(HOSPITAL), len(HOSPITAL))


def test_a_foreign_file_in_place_is_refused_and_left_alone(tmp_path: Path, watch: Watch) -> None:
    (tmp_path / "patient.csv.gz").write_bytes(b"the user's own")
    with serving(Site(published())) as site, pytest.raises(DataError, match="move it away") as caught:
        watch.fetch(site, tmp_path)
    assert caught.value.file == "patient.csv.gz"
    assert (tmp_path / "patient.csv.gz").read_bytes() == b"the user's own"


@pytest.mark.parametrize("separator", [" ", "  ", " *"])
def test_sums_are_read_as_physionet_and_as_sha256sum_write_them(tmp_path: Path, watch: Watch, separator: str) -> None:
    files = published()
    files[SUMS] = sums({name: files[name] for name in SOURCE.files}, separator)
    with serving(Site(files)) as site:
        assert len(watch.fetch(site, tmp_path)) == 2


def test_a_line_cut_several_times_is_continued_without_fetching_a_byte_twice(tmp_path: Path, watch: Watch) -> None:
    with serving(Site(published(), cut_after={"patient.csv.gz": 100_000}, cuts=4)) as site:
        paths = watch.fetch(site, tmp_path)
    assert paths[0].read_bytes() == TABLE
    assert site.served["patient.csv.gz"] == len(TABLE)
    assert site.asked("patient.csv.gz") == [None, *(f"bytes={n}-" for n in (100_000, 200_000, 300_000, 400_000))]
    assert watch.pauses == [1.0, 2.0, 4.0, 8.0]


def test_a_line_that_stays_cut_ends_in_an_error_and_the_next_run_continues(tmp_path: Path, watch: Watch) -> None:
    with serving(Site(published(), cut_after={"patient.csv.gz": 50_000}, cuts=6)) as site:
        with pytest.raises(DeploymentError, match="gave up after 6 attempts, run again"):
            watch.fetch(site, tmp_path)
        assert names(tmp_path) == {"patient.csv.gz.part", SUMS}
        assert watch.pauses == [1.0, 2.0, 4.0, 8.0, 16.0]
        watch.fetch(site, tmp_path)
    assert (tmp_path / "patient.csv.gz").read_bytes() == TABLE
    assert site.served["patient.csv.gz"] == len(TABLE)


def test_a_server_that_ignores_ranges_is_read_from_the_start(tmp_path: Path, watch: Watch) -> None:
    (tmp_path / "patient.csv.gz.part").write_bytes(TABLE[:1000])
    with serving(Site(published(), ranges=False, cut_after={"patient.csv.gz": 7}, cuts=1)) as site:
        watch.fetch(site, tmp_path)
    assert site.asked("patient.csv.gz") == ["bytes=1000-", "bytes=7-"]
    assert (tmp_path / "patient.csv.gz").read_bytes() == TABLE


def test_a_server_that_tells_no_length_is_read_to_the_end(tmp_path: Path, watch: Watch) -> None:
    with serving(Site(published(), lengths=False)) as site:
        watch.fetch(site, tmp_path)
    assert (tmp_path / "patient.csv.gz").read_bytes() == TABLE
    assert {total for name, _, total in watch.progress if name == "patient.csv.gz"} == {0}


@pytest.mark.parametrize(
    "bad", [b"x" * 1000, TABLE[:999] + b"x", TABLE + b"tail", TABLE[:-1] + b"x"], ids=["all", "last", "long", "full"]
)
def test_a_corrupt_part_is_found_by_its_digest_and_fetched_anew(tmp_path: Path, watch: Watch, bad: bytes) -> None:
    (tmp_path / "patient.csv.gz.part").write_bytes(bad)
    with serving(Site(published())) as site:
        watch.fetch(site, tmp_path)
    assert site.asked("patient.csv.gz") == [f"bytes={len(bad)}-", None]
    assert (tmp_path / "patient.csv.gz").read_bytes() == TABLE


def test_a_list_left_half_is_not_continued(tmp_path: Path, watch: Watch) -> None:
    (tmp_path / f"{SUMS}.part").write_bytes(b"an older list")
    with serving(Site(published())) as site:
        watch.fetch(site, tmp_path)
    assert site.requests[0] == (SUMS, None)
    assert (tmp_path / SUMS).read_bytes() == site.files[SUMS]


def test_a_part_that_was_complete_needs_no_byte_more(tmp_path: Path, watch: Watch) -> None:
    (tmp_path / "patient.csv.gz.part").write_bytes(TABLE)
    with serving(Site(published())) as site:
        watch.fetch(site, tmp_path)
    assert site.served["patient.csv.gz"] == 0
    assert (tmp_path / "patient.csv.gz").read_bytes() == TABLE


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_server_that_asks_for_patience_gets_it(tmp_path: Path, watch: Watch, status: int) -> None:
    with serving(Site(published(), status={"patient.csv.gz": status}, failures=2)) as site:
        watch.fetch(site, tmp_path)
    assert watch.pauses == [1.0, 2.0]


def test_nobody_listening_is_a_clear_error(tmp_path: Path, watch: Watch) -> None:
    with serving(Site(published())) as site:
        pass
    with pytest.raises(DeploymentError, match="refused; gave up after 6 attempts"):
        watch.fetch(site, tmp_path)
    assert names(tmp_path) == set()


def test_a_silent_server_is_given_up(tmp_path: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "TIMEOUT_SECONDS", 0.02)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts in the backlog, never answers
        site = Site({}, url=f"http://127.0.0.1:{silent.getsockname()[1]}/")
        with pytest.raises(DeploymentError, match="timed out; gave up after 6 attempts"):
            watch.fetch(site, tmp_path)


def test_every_source_is_https_and_spells_safe_names() -> None:
    for name, source in SOURCES.items():
        assert find(name) is source
        assert source.base_url.startswith("https://")
        assert source.files
        assert all(fetching._is_safe(file) for file in source.files)


def test_an_unknown_source_names_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="unknown source 'eicu'; known: eicu-demo"):
        find("eicu")
