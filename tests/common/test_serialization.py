"""One value, one text; and a file is never half written."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import stat
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.serialization import canonical, digest, digest_json, parse, write_atomic

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def shuffled(value: Any) -> Any:
    """Return the value with the keys of every object in the opposite order."""
    if isinstance(value, dict):
        return {key: shuffled(value[key]) for key in reversed(value)}
    return [shuffled(item) for item in value] if isinstance(value, list) else value


def test_canonical_by_hand() -> None:
    assert (
        canonical({"b": [1, 2.5, None, True], "a": {"é": "\n"}}) == '{"a":{"é":"\\n"},"b":[1,2.5,null,true]}'.encode()
    )


@given(JSON)
def test_what_is_written_is_read(value: Any) -> None:
    assert parse(canonical(value)) == json.loads(canonical(value)) == value
    assert canonical(parse(canonical(value))) == canonical(value)


@given(JSON)
def test_the_order_of_keys_does_not_matter(value: Any) -> None:
    assert canonical(shuffled(value)) == canonical(value)


@given(JSON, JSON)
def test_different_values_have_different_texts_and_digests(one: Any, other: Any) -> None:
    # repr tells 1 from 1.0 and from True, which compare equal and are different JSON.
    same = repr(parse(canonical(one))) == repr(parse(canonical(other)))
    assert (canonical(one) == canonical(other)) == same
    assert (digest_json(one) == digest_json(other)) == same


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_nan_and_infinity_are_not_written(value: float) -> None:
    assert canonical([1.5]) == b"[1.5]"
    with pytest.raises(ValueError, match="JSON"):
        canonical([value])


@pytest.mark.parametrize("value", [b"bytes", {1, 2}, datetime.date(2026, 1, 1), object(), 1j])
def test_what_json_has_no_type_for_is_not_written(value: Any) -> None:
    with pytest.raises(TypeError):
        canonical({"key": value})


def test_a_lone_surrogate_has_no_text() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        canonical("\ud800")


@pytest.mark.parametrize(
    "text",
    [
        "NaN",
        "[Infinity]",
        '{"a":-Infinity}',
        '{"a":1,"a":1}',
        '[{"b":{"a":1,"c":2,"a":3}}]',
        "",
        "[1,]",
        "{'a':1}",
        "1 2",
    ],
)
def test_what_is_not_strict_json_is_not_read(text: str) -> None:
    assert parse('[{"a":1},{"a":1}]') == [{"a": 1}, {"a": 1}]
    for given_as in (text, text.encode()):
        with pytest.raises(ValueError, match=r"."):
            parse(given_as)


def test_digest_of_the_standard() -> None:
    """FIPS 180-2, appendix B.1."""
    assert digest(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert digest_json({"b": 1, "a": 2}) == hashlib.sha256(b'{"a":2,"b":1}').hexdigest()


@settings(max_examples=15, deadline=None)  # each waits for the disk
@given(st.binary(max_size=200), st.binary(max_size=200))
def test_a_file_holds_what_was_written_last(first: bytes, second: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "state.json"
        for data in (first, second):
            write_atomic(file, data)
            assert file.read_bytes() == data
        assert [found.name for found in Path(folder).iterdir()] == ["state.json"]


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_file_is_private_unless_asked(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "state.json"
    before = os.umask(0)
    try:
        write_atomic(file, b"x", mode=mode) if mode != 0o600 else write_atomic(file, b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == mode


@pytest.mark.parametrize("step", ["fsync", "chmod", "replace"])
def test_a_failed_write_leaves_the_old_content_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    file = tmp_path / "state.json"
    write_atomic(file, b"old")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, full)
    with pytest.raises(OSError, match="No space"):
        write_atomic(file, b"new")
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_the_content_is_on_the_disk_before_the_name_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data flushed, renamed, rename flushed: the order a crash cannot break."""
    steps: list[str] = []
    for step in ("fsync", "replace"):
        real = getattr(os, step)

        def noted(*arguments: Any, _step: str = step, _real: Any = real) -> Any:
            folder = _step == "fsync" and stat.S_ISDIR(os.fstat(arguments[0]).st_mode)
            steps.append("folder" if folder else _step)
            return _real(*arguments)

        monkeypatch.setattr(os, step, noted)
    write_atomic(tmp_path / "state.json", b"x")
    assert steps == ["fsync", "replace", "folder"]


def test_a_missing_folder_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_atomic(tmp_path / "nowhere" / "state.json", b"x")
    assert list(tmp_path.iterdir()) == []
