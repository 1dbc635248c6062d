"""The machine and the parent decide whether files are decoded at all, never which of them are damaged."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client.preprocessing import decoder, decoding, images
from client.preprocessing.decoding import decoded
from client.preprocessing.images import Form
from common.exceptions import ConfigurationError

ROOT = Path(__file__).parents[3]
PARENT = """
import sys
from pathlib import Path
from PIL import Image
from client.preprocessing.decoding import decoded
from client.preprocessing.images import Form, decoding

film = Path(sys.argv[1]) / "film.png"
Image.new("L", (64, 64), 9).save(film)
try:
    (found,) = decoded(decoding(Form(size=32)), [(film, 1)], 1)
except Exception as error:
    found = error
told = str(getattr(found, "shape", found))
(Path(sys.argv[1]) / "told").write_text(told)
"""


def told(folder: Path, before: str = "", closed: str = "") -> str:
    """What a process of its own says of a film; the shell does something before, and closes descriptors."""
    line = f'{before} exec "$0" -c "$1" "$2" {closed}'
    subprocess.run(["bash", "-c", line, sys.executable, PARENT, str(folder)], cwd=ROOT, check=True, timeout=60)
    return (folder / "told").read_text()


@pytest.mark.parametrize("closed", ["", "<&-", "<&- >&-", "<&- >&- 2>&-"])
def test_standard_streams_may_be_closed(tmp_path: Path, closed: str) -> None:
    assert told(tmp_path, closed=closed) == "(1, 32, 32)"


def test_with_fewer_addresses_none_is_decoded_rather_than_large_ones_left_out(tmp_path: Path) -> None:
    below = (decoder.MEMORY >> 10) - 1
    assert "cannot be started: it ended with status 1" in told(tmp_path, before=f"ulimit -v {below};")
    assert told(tmp_path, before=f"ulimit -v {below + 1};") == "(1, 32, 32)", "control"


def test_what_cannot_be_started_says_so_and_leaves_no_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoding.close()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-interpreter"))
    before = sorted(Path("/proc/self/fd").iterdir())
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="cannot be started: No such file"):
            list(decoded(images.decoding(Form(size=32)), [(tmp_path / "film.png", 1)], 1))
    assert sorted(Path("/proc/self/fd").iterdir()) == before


def test_pixels_that_were_not_written_whole_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = os.memfd_create("pixels")
    module = "client.preprocessing.images:decode"
    (tmp_path / "film.png").write_bytes(_film(tmp_path))
    form: dict[str, Any] = {"size": 8}
    try:
        given = memory, 0, 256, module, form, str(tmp_path / "film.png"), 1
        assert decoder._decode(*given) == {}
        write = os.pwrite
        monkeypatch.setattr(os, "pwrite", lambda into, content, place: write(into, bytes(content)[:1], place))
        assert "ValueError" in decoder._decode(*given)["unforeseen"]
    finally:
        os.close(memory)


def test_a_process_that_answers_for_fewer_files_than_asked_gives_none(tmp_path: Path) -> None:
    decoding.close()
    worker = decoding._Worker()
    worker._line.close()
    worker._line = _Says(b'[{"problem": "damaged"}]')  # type: ignore[assignment]
    files = [(tmp_path / "a", 1), (tmp_path / "b", 2)]
    try:
        with pytest.raises(ValueError, match="shorter"):
            worker.outcomes(images.decoding(Form(size=8)), files)
    finally:
        worker.close()


class _Says:
    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def send_bytes(self, asked: bytes) -> None:
        pass

    def recv_bytes(self, most: int) -> bytes:
        return self._answer

    def close(self) -> None:
        pass


def _film(folder: Path) -> bytes:
    from PIL import Image

    Image.fromarray(np.full((16, 16), 9, np.uint8)).save(folder / "made.png")
    return (folder / "made.png").read_bytes()
