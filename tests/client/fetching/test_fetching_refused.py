"""What a publisher may not send: wrong bytes, unlisted files, names that leave the folder, too much."""

from __future__ import annotations

import hashlib
import resource
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client import fetching
from client.fetching import SUMS, Source
from common.exceptions import DataError, DeploymentError
from tests.client.fetching.publisher import SOURCE, TABLE, Site, Watch, names, published, serving, sums


def test_one_wrong_byte_is_refused_and_nothing_is_in_place(tmp_path: Path, watch: Watch) -> None:
    wrong = TABLE[:-1] + bytes([TABLE[-1] ^ 1])
    with serving(Site(published(patient__csv__gz=wrong))) as site, pytest.raises(DataError, match="SHA-256") as caught:
        watch.fetch(site, tmp_path)
    assert caught.value.file == "patient.csv.gz"
    assert names(tmp_path) == {SUMS}
    assert len(site.asked("patient.csv.gz")) == 2


@pytest.mark.parametrize("missing", ["patient.csv.gz", SUMS])
def test_a_file_the_server_does_not_have_is_named_at_once(tmp_path: Path, watch: Watch, missing: str) -> None:
    files = published()
    del files[missing]
    with serving(Site(files)) as site, pytest.raises(DeploymentError, match=f"{missing}: the server answers 404"):
        watch.fetch(site, tmp_path)
    assert watch.pauses == []


def test_a_file_the_sums_do_not_list_is_refused_before_any_table_is_asked_for(tmp_path: Path, watch: Watch) -> None:
    files = published()
    files[SUMS] = sums({"patient.csv.gz": TABLE})
    with serving(Site(files)) as site, pytest.raises(DataError, match=r"does not list hospital\.csv\.gz"):
        watch.fetch(site, tmp_path)
    assert site.requests == [(SUMS, None)]


@pytest.mark.parametrize(
    "name", ["../out", "/out", "a/../../out", "./out", "a//out", "..\\out", "C:out", "out\x7f", "out\udcff", "..", "a/"]
)
def test_a_listed_name_that_leaves_the_folder_is_refused(tmp_path: Path, watch: Watch, name: str) -> None:
    digest, folder = hashlib.sha256(b"evil").hexdigest(), tmp_path / "folder"
    listing = f"{digest} {name}\n".encode(errors="surrogateescape")
    with (
        serving(Site(published() | {SUMS: listing, name: b"evil"})) as site,
        pytest.raises(DataError, match="outside the folder") as caught,
    ):
        watch.fetch(site, folder, complete=True)
    assert (caught.value.file, caught.value.row) == (SUMS, 1)
    assert site.requests == [(SUMS, None)]
    assert names(tmp_path) == {f"folder/{SUMS}.part"}


@given(st.text(min_size=1, max_size=20) | st.text(alphabet="./a", min_size=1, max_size=8))
def test_every_accepted_name_stays_inside_the_folder(name: str) -> None:
    folder = Path("/data/eicu")
    if fetching._is_safe(name):
        assert folder in Path(folder, name).parents
        assert ".." not in Path(name).parts


@pytest.mark.parametrize("listing", [b"<html>sign in</html>\n", b"0123 a.csv\n", b"\n", b"G" * 64 + b" a.csv\n"])
def test_something_other_than_sums_is_refused_with_its_row(tmp_path: Path, watch: Watch, listing: bytes) -> None:
    files = published()
    with (
        serving(Site(files | {SUMS: sums({"a": b""}) + listing})) as site,
        pytest.raises(DataError, match="not a SHA-256") as caught,
    ):
        watch.fetch(site, tmp_path)
    assert caught.value.row == 2


def test_contradicting_sums_are_refused(tmp_path: Path, watch: Watch) -> None:
    files = published()
    files[SUMS] += sums({"patient.csv.gz": b"other"})
    with serving(Site(files)) as site, pytest.raises(DataError, match="twice"):
        watch.fetch(site, tmp_path)


@pytest.mark.parametrize("lengths", [True, False])
def test_a_file_above_the_limit_is_refused(tmp_path: Path, watch: Watch, lengths: bool) -> None:
    small = Source("test", SOURCE.base_url, SOURCE.files, limit=len(TABLE) - 1)
    with serving(Site(published(), lengths=lengths)) as site, pytest.raises(DataError, match="larger than the 524287"):
        watch.fetch(site, tmp_path, small)
    assert "patient.csv.gz" not in names(tmp_path)
    written = sum(path.stat().st_size for path in tmp_path.glob("patient*"))
    assert written == 0 if lengths else 0 < written < len(TABLE)


def test_a_full_disk_is_a_clear_error_and_what_arrived_is_kept(tmp_path: Path, watch: Watch) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with serving(Site(published())) as site:
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
        try:
            with pytest.raises(DeploymentError, match=r"cannot write to .*; what has arrived is kept"):
                watch.fetch(site, tmp_path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert watch.pauses == []
        kept = (tmp_path / "patient.csv.gz.part").read_bytes()
        assert kept == TABLE[: len(kept)] != b""
        watch.fetch(site, tmp_path)
    assert site.asked("patient.csv.gz") == [None, f"bytes={len(kept)}-"]
    assert (tmp_path / "patient.csv.gz").read_bytes() == TABLE
