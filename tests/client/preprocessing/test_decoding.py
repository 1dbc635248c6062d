"""Files that crash, hang or fill a decoder are told by their row, and nothing else is lost by them.

What decodes here is a module that is written for the test and does to its process what a file's name says.
"""

from __future__ import annotations

import gc
import os
import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from client.preprocessing import decoder, decoding
from client.preprocessing.decoding import Decoding, decoded
from common.crypto.at_rest import SiteKey
from common.crypto.keys import leave_to_children
from common.exceptions import ConfigurationError, DataError
from tests.client.preprocessing.processes import asleep, gone, living, started, until

PLUG = """
import ctypes, os, re, resource, signal, sys, time
from pathlib import Path
import numpy as np
from common.exceptions import DataError

def decode(path, row, *, shape):
    Path(str(path) + f".tried-{os.getpid()}").touch()
    what = path.name.split("-")[0]
    if what == "abort":
        os.abort()
    elif what == "null":
        ctypes.string_at(0)
    elif what == "exit":
        os._exit(0)
    elif what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "once" and len(list(path.parent.glob(path.name + ".tried-*"))) <= 2:
        os.abort()
    elif what == "hang":
        signal.setitimer(signal.ITIMER_REAL, 0.2 if signal.getitimer(signal.ITIMER_REAL)[0] > 200 else 1000)
        re.match("(a+)+$", "a" * 60 + "b")  # in C, holding the interpreter's lock
    elif what == "huge":
        np.empty(1 << 33, np.uint8)
    elif what == "bug":
        raise KeyError(path.name)
    elif what == "bad":
        raise DataError("damaged", file=str(path), row=-1, field="PixelData", fix="copy it again")
    elif what == "sleep":
        Path(str(path) + ".asleep").touch()
        re.match("(a+)+$", "a" * 60 + "b")
    return np.full(shape, row, np.float32)

def look(path, row, *, shape):
    heavy = [name for name in ("torch", "flwr", "pydicom", "scipy") if name in sys.modules]
    hidden = [fd for fd in os.listdir("/proc/self/fd") if "site key" in _link(fd)]
    core = resource.getrlimit(resource.RLIMIT_CORE)[0]
    return np.array([len(heavy), len(hidden), core, os.getpid()], np.float32)

def _link(fd):
    try:
        return os.readlink("/proc/self/fd/" + fd)
    except OSError:
        return ""
"""


@pytest.fixture
def plug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A module that this process and those that decode for it can import."""
    decoding.close()
    name = f"plug_of_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(PLUG)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield __import__(name)
    decoding.close()


def how(decode: Callable[..., Any]) -> Decoding:
    return Decoding("film", decode, {"shape": [4]}, (4,), np.float32)


def told(plug: ModuleType, folder: Path, names: list[str], workers: int = 2) -> list[Any]:
    found = list(decoded(how(plug.decode), [(folder / name, 100 + row) for row, name in enumerate(names)], workers))
    return [str(outcome) if isinstance(outcome, DataError) else outcome.tolist() for outcome in found]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("abort-4711", "its decoder crashes (SIGABRT); export it again, or leave it out"),
        ("null-4711", "its decoder crashes (SIGSEGV); export it again, or leave it out"),
        ("exit-4711", "its decoder crashes (status 0); export it again, or leave it out"),
        ("hang-4711", f"takes longer than {decoder.SECONDS} s to decode; export it again, or leave it out"),
        ("huge-4711", "takes more than 4 GiB of memory to decode"),
    ],
)
def test_a_file_that_takes_its_process_along_is_told_by_its_row_and_the_others_come_through(
    plug: ModuleType, tmp_path: Path, name: str, problem: str
) -> None:
    names = ["good-0", "good-1", name, "good-3"]
    expected: list[Any] = [[100.0 + row] * 4 for row in range(4)]
    expected[2] = f"film, row 102: {problem}"
    assert told(plug, tmp_path, names) == expected


def test_several_that_crash_side_by_side(plug: ModuleType, tmp_path: Path) -> None:
    names = ["abort-1", "null-2", "good", "abort-3", "good", "exit-4"]
    found = told(plug, tmp_path, names)
    assert [isinstance(outcome, str) for outcome in found] == [not name.startswith("good") for name in names]


def test_a_process_that_died_once_says_nothing_about_the_file(plug: ModuleType, tmp_path: Path) -> None:
    assert told(plug, tmp_path, ["good", "once", "good"], workers=1) == [[100.0] * 4, [101.0] * 4, [102.0] * 4]
    assert len(list(tmp_path.glob("once.tried-*"))) == 3


def test_a_file_that_is_refused_in_the_ordinary_way_keeps_what_was_said_less_its_name(
    plug: ModuleType, tmp_path: Path
) -> None:
    (error,) = decoded(how(plug.decode), [(tmp_path / "bad-4711", 7)], 1)
    assert isinstance(error, DataError)
    assert (error.problem, error.file, error.row, error.field) == ("damaged", "film", 7, "PixelData")
    assert str(error) == "film, row 7, field 'PixelData': damaged; copy it again"


def test_who_kills_processes_from_outside_says_nothing_about_files(plug: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="killed from outside"):
        told(plug, tmp_path, ["good", "kill-4711", "good"])


def test_an_error_of_the_code_stops_and_quotes_no_data(plug: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"(?s)film, row 101: KeyError\n.*in decode") as caught:
        told(plug, tmp_path, ["good", "bug-4711", "good"])
    assert "4711" not in str(caught.value)


def test_an_importable_name_is_needed(plug: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="AttributeError"):
        list(decoded(how(lambda path, row: np.zeros(4)), [(tmp_path / "good", 1)], 1))


def test_a_process_that_cannot_start_says_nothing_about_files(
    plug: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with pytest.raises(ConfigurationError, match="cannot be started: it ended with status 1"):
        told(plug, tmp_path, ["good"])


def test_processes_are_few_lean_and_used_again(
    plug: ModuleType, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    leave_to_children(SiteKey(bytes(32)))  # its descriptor is one that children inherit
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    request.addfinalizer(partial(resource.setrlimit, resource.RLIMIT_CORE, before))
    files = [(tmp_path / str(row), row) for row in range(40)]
    looks = [list(decoded(how(plug.look), files, 2)) for _ in range(3)]
    seen = np.array(looks, np.float32).reshape(-1, 4)
    assert seen[:, :3].any() == False, "heavy modules, the site's key, or an image of memory"  # noqa: E712
    assert 1 <= len(np.unique(seen[:, 3])) <= 2
    assert len(decoding._idle) <= 2


def test_however_many_decode_at_the_same_time_processes_are_few(
    plug: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "_places", threading.Semaphore(2))
    files, seen = [(tmp_path / str(row), row) for row in range(20)], list[float]()

    def site() -> None:
        seen.extend(outcome[3] for outcome in decoded(how(plug.look), files, 4))  # type: ignore[index]

    sites = [threading.Thread(target=site) for _ in range(3)]
    for one in sites:
        one.start()
    for one in sites:
        one.join()
    assert len(seen) == 60
    assert len(set(seen)) == len(decoding._idle) <= 2


def test_one_that_ended_while_idle_is_replaced(plug: ModuleType, tmp_path: Path) -> None:
    assert told(plug, tmp_path, ["good"], workers=1) == [[100.0] * 4]
    (worker,) = decoding._idle
    worker._process.kill()
    assert told(plug, tmp_path, ["good"], workers=1) == [[100.0] * 4]
    assert decoding._idle != [worker]


def test_no_more_is_decoded_ahead_than_is_said(plug: ModuleType, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(decoding, "TOGETHER", 2)
    files = [(tmp_path / f"good-{row}", row) for row in range(40)]
    reading = decoded(how(plug.decode), files, 2)
    for taken in range(1, 6):
        next(reading)
        assert len(list(tmp_path.glob("*.tried-*"))) <= taken + 2 * 2 * 2
    reading.close()  # type: ignore[attr-defined]
    assert until(lambda: all(thread.name != "ahead" for thread in threading.enumerate())), "or the next test sees them"


PARENT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import {plug} as plug
import numpy as np
from client.preprocessing.decoding import Decoding, decoded
how = Decoding("film", plug.decode, {{"shape": [4]}}, (4,), np.float32)
folder = Path(sys.argv[1])
print([len(list(decoded(how, [(folder / "good", 1)] * 8, 2)))], flush=True)
if sys.argv[2] == "busy":
    list(decoded(how, [(folder / f"sleep-{{n}}", 1) for n in range(2)], 2))
sys.stdin.read()
"""


@pytest.mark.parametrize("state", ["idle", "busy"])
def test_nothing_outlives_a_parent_that_is_killed(plug: ModuleType, tmp_path: Path, state: str) -> None:
    code = PARENT.format(plug=plug.__name__)
    parent = started(code, str(tmp_path), state, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"[8]\n"
        if state == "busy":
            assert asleep(tmp_path)
        found = living(parent.pid)
        assert found
        parent.kill()
    assert until(lambda: all(map(gone, found)))


def test_nothing_outlives_a_parent_that_ends(plug: ModuleType, tmp_path: Path) -> None:
    told(plug, tmp_path, ["good"] * 8)
    processes = [worker._process.pid for worker in decoding._idle]
    assert processes
    decoding.close()
    gc.collect()
    assert all(not Path(f"/proc/{process}").exists() for process in processes)
    assert os.getpid() not in processes
