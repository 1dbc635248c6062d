"""The model store tells the truth: a model is there whole and unchanged, or it is not there."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.training.store import UNUSED_SECONDS, ModelStore
from common.boosting.model import Model, ModelHeader
from common.crypto import files, keys
from tests.reading import KEY

HEADER = ModelHeader(0.25, ("age", "gcs"))
ONE = Model(HEADER).append([b'{"leaf":1}'])
TWO = ONE.append([b'{"leaf":2}', b'{"leaf":3}'])
THREE = TWO.append([b'{"leaf":4}'])


def kept(folder: Path) -> ModelStore:
    """Return a store that received three rounds one after the other."""
    store = ModelStore(folder, KEY)
    for model, before in ((ONE, HEADER.digest), (TWO, ONE.digest), (THREE, TWO.digest)):
        store.put(model, begins_with=before)
    return store


def file_of(folder: Path, model: Model) -> Path:
    return folder / model.digest


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: files.read(file, KEY, file.name) for file in folder.iterdir()}


def test_what_was_put_is_there_now_and_in_the_next_process(tmp_path: Path) -> None:
    for store in (kept(tmp_path), ModelStore(tmp_path, KEY)):
        assert [store.get(model.digest, HEADER) for model in (ONE, TWO, THREE)] == [ONE, TWO, THREE]
        assert store.get("00" * 32, HEADER) is None


def test_the_model_without_trees_is_always_there(tmp_path: Path) -> None:
    assert ModelStore(tmp_path, KEY).get(HEADER.digest, HEADER) == Model(HEADER)


def test_only_new_segments_are_written(tmp_path: Path) -> None:
    kept(tmp_path)
    file_of(tmp_path, ONE).unlink()
    ModelStore(tmp_path, KEY).put(THREE, begins_with=TWO.digest)
    assert sorted(contents(tmp_path)) == sorted(file_of(tmp_path, model).name for model in (TWO, THREE))


def test_putting_twice_changes_nothing(tmp_path: Path) -> None:
    store = kept(tmp_path)
    before = contents(tmp_path)
    for begins_with in (TWO.digest, HEADER.digest, THREE.digest, "00" * 32):
        store.put(THREE, begins_with=begins_with)
        assert contents(tmp_path) == before
        assert store.get(THREE.digest, HEADER) == THREE
    assert len(before) == 3


TORN = {
    "cut short": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "another tree": lambda data: data.replace(b"2", b"5"),
    "a tree less": lambda data: json.dumps({**json.loads(data), "trees": json.loads(data)["trees"][1:]}).encode(),
    "no trees": lambda data: json.dumps({**json.loads(data), "trees": []}).encode(),
    "another parent": lambda data: data.replace(ONE.digest.encode(), b"00" * 32),
    "parent that is a number": lambda data: json.dumps({**json.loads(data), "parent": 7}).encode(),
    "trees that are numbers": lambda data: json.dumps({**json.loads(data), "trees": [7]}).encode(),
    "trees that are missing": lambda data: json.dumps({"parent": ONE.digest}).encode(),
    "a lone surrogate": lambda data: json.dumps({**json.loads(data), "trees": ["\ud800"]}).encode(),
    "a list": lambda data: b"[]",
    "a list bomb": lambda data: b"[" * 100_000,
    "a repeated key": lambda data: data[:-1] + b',"parent":"' + ONE.digest.encode() + b'"}',
    "no text": lambda data: b"\xff\xfe" + data,
}


@pytest.mark.parametrize("tear", TORN.values(), ids=TORN.keys())
def test_a_torn_or_changed_file_counts_as_absent_and_can_be_sent_again(tmp_path, tear) -> None:  # type: ignore[no-untyped-def]
    kept(tmp_path)
    file = file_of(tmp_path, TWO)
    sound = files.read(file, KEY, file.name)
    files.write(file, KEY, file.name, [tear(sound)])
    assert files.read(file, KEY, file.name) != sound
    store = ModelStore(tmp_path, KEY)
    assert [store.get(model.digest, HEADER) for model in (ONE, TWO, THREE)] == [ONE, None, None]
    store.put(TWO, begins_with=ONE.digest)
    assert files.read(file, KEY, file.name) == sound
    assert ModelStore(tmp_path, KEY).get(THREE.digest, HEADER) == THREE


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data[:-1] + b"?", lambda data: data[90:]])
def test_a_file_that_does_not_open_counts_as_absent(tmp_path, damage) -> None:  # type: ignore[no-untyped-def]
    kept(tmp_path)
    file = file_of(tmp_path, TWO)
    assert b"leaf" not in file.read_bytes()
    file.write_bytes(damage(file.read_bytes()))
    assert ModelStore(tmp_path, KEY).get(TWO.digest, HEADER) is None
    assert ModelStore(tmp_path, keys.temporary()).get(ONE.digest, HEADER) is None


@pytest.mark.parametrize("lost", [ONE, TWO, THREE])
def test_a_missing_parent_makes_all_that_follows_absent(tmp_path: Path, lost: Model) -> None:
    kept(tmp_path)
    file_of(tmp_path, lost).unlink()
    found = [ModelStore(tmp_path, KEY).get(model.digest, HEADER) for model in (ONE, TWO, THREE)]
    assert found == [model if len(model.segments) < len(lost.segments) else None for model in (ONE, TWO, THREE)]


def test_a_file_under_another_models_name_counts_as_absent(tmp_path: Path) -> None:
    kept(tmp_path)
    file_of(tmp_path, TWO).replace(file_of(tmp_path, THREE))
    assert ModelStore(tmp_path, KEY).get(THREE.digest, HEADER) is None


def test_what_an_interrupted_write_leaves_behind_does_no_harm(tmp_path: Path) -> None:
    kept(tmp_path)
    data = file_of(tmp_path, THREE).read_bytes()
    file_of(tmp_path, THREE).unlink()
    (tmp_path / f".{THREE.digest}").write_bytes(data[:20])
    store = ModelStore(tmp_path, KEY)
    assert store.get(THREE.digest, HEADER) is None
    store.put(THREE, begins_with=TWO.digest)
    assert ModelStore(tmp_path, KEY).get(THREE.digest, HEADER) == THREE


@pytest.mark.parametrize("header", [ModelHeader(0.3, HEADER.feature_names), ModelHeader(0.25, ("gcs", "age"))])
def test_memory_and_disk_agree_that_another_header_is_another_model(tmp_path: Path, header: ModelHeader) -> None:
    for store in (kept(tmp_path), ModelStore(tmp_path, KEY)):
        assert store.get(THREE.digest, HEADER) == THREE  # control
        assert store.get(THREE.digest, header) is None


# What is no longer used

NOW = 2_000_000_000.0


def last_used(file: Path, moment: float) -> None:
    os.utime(file, (moment, moment))


def test_what_was_not_used_for_thirty_days_is_removed_and_can_be_sent_again(tmp_path: Path) -> None:
    kept(tmp_path)
    left = tmp_path / f".{THREE.digest}.1"
    left.write_bytes(b"{")  # by an interrupted write
    days = 24 * 3600
    for file, age in ((file_of(tmp_path, ONE), 30 * days), (file_of(tmp_path, TWO), 30 * days + 1)):
        last_used(file, NOW - age)
    last_used(file_of(tmp_path, THREE), NOW + days)  # by a clock that is ahead
    last_used(left, NOW - 31 * days)
    store = ModelStore(tmp_path, KEY)
    store.remove_unused(NOW)
    assert sorted(contents(tmp_path)) == sorted(file_of(tmp_path, model).name for model in (ONE, THREE))
    assert [store.get(model.digest, HEADER) for model in (ONE, TWO, THREE)] == [ONE, None, None]
    store.put(TWO, begins_with=ONE.digest)
    assert ModelStore(tmp_path, KEY).get(THREE.digest, HEADER) == THREE


def test_a_model_that_is_read_is_in_use_with_all_it_continues(tmp_path: Path) -> None:
    kept(tmp_path)
    for model in (ONE, TWO, THREE):
        last_used(file_of(tmp_path, model), time.time() - UNUSED_SECONDS - 1)
    ModelStore(tmp_path, KEY).get(TWO.digest, HEADER)
    ModelStore(tmp_path, KEY).remove_unused(time.time())
    assert sorted(contents(tmp_path)) == sorted(file_of(tmp_path, model).name for model in (ONE, TWO))


@settings(max_examples=25)
@given(ages=st.lists(st.floats(0, 4 * UNUSED_SECONDS), min_size=3, max_size=3))
def test_what_is_left_is_what_is_young(tmp_path_factory, ages) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path_factory.mktemp("models")
    store = kept(folder)
    for model, age in zip((ONE, TWO, THREE), ages, strict=True):
        last_used(file_of(folder, model), NOW - age)
    young = {name for name in contents(folder) if NOW - (folder / name).stat().st_mtime <= UNUSED_SECONDS}
    store.remove_unused(NOW)
    assert set(contents(folder)) == young


def test_another_process_may_remove_the_same_files_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = kept(tmp_path)
    for model in (ONE, TWO, THREE):
        last_used(file_of(tmp_path, model), NOW - UNUSED_SECONDS - 1)
    listed, unlink = list(tmp_path.iterdir()), Path.unlink

    def after_the_other(file: Path) -> None:
        unlink(file)
        unlink(file)

    file_of(tmp_path, ONE).unlink()  # after the folder was listed
    monkeypatch.setattr(Path, "iterdir", lambda _: iter(listed))
    monkeypatch.setattr(Path, "unlink", after_the_other)
    store.remove_unused(NOW)
    monkeypatch.undo()
    assert contents(tmp_path) == {}


def test_another_process_may_write_the_same_segment_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = Path.replace

    def meanwhile(file: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "replace", replace)
        with monkeypatch.context() as other:
            other.setattr(os, "getpid", lambda: 1)
            ModelStore(tmp_path, KEY).put(ONE, begins_with=HEADER.digest)
        return replace(file, target)

    monkeypatch.setattr(Path, "replace", meanwhile)
    ModelStore(tmp_path, KEY).put(ONE, begins_with=HEADER.digest)
    assert list(contents(tmp_path)) == [file_of(tmp_path, ONE).name]
    assert ModelStore(tmp_path, KEY).get(ONE.digest, HEADER) == ONE


def test_files_are_the_sites_own(tmp_path: Path) -> None:
    kept(tmp_path / "models")
    assert (tmp_path / "models").stat().st_mode & 0o077 == 0


trees = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8).map(str.encode), min_size=1, max_size=3)


@settings(max_examples=25, deadline=None)
@given(st.lists(trees, min_size=1, max_size=4), st.data())
def test_any_chain_comes_back_in_the_next_process(tmp_path_factory, rounds, data) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path_factory.mktemp("models")
    models = [Model(HEADER)]
    for segment in rounds:
        models.append(models[-1].append(segment))
    known = data.draw(st.integers(0, len(rounds)))
    store = ModelStore(folder, KEY)
    store.put(models[known], begins_with=HEADER.digest)
    store.put(models[-1], begins_with=models[known].digest)
    assert [ModelStore(folder, KEY).get(model.digest, HEADER) for model in models] == models
