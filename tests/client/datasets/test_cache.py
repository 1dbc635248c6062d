"""The cache keeps whole files or none, whoever is killed when, and makes each once."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from client.datasets.reading import cache as caching
from client.datasets.reading.cache import Cache, Entry
from common.crypto import files, keys
from common.exceptions import DataError, EncryptionError
from tests.reading import KEY, cache_in

INPUTS = {"digest": "abc", "version": 1}
SOURCE = Path("/data/events.csv")
KILLED = """
import os, signal, sys
from pathlib import Path
from client.datasets.reading.cache import Cache
from common.crypto.at_rest import SiteKey

def make(folder):
    yield bytes(1 << 22)
    os.kill(os.getpid(), signal.SIGKILL)

inputs = {"digest": "abc", "version": 1}
Cache(Path(sys.argv[1]), SiteKey(bytes(32))).entry("events", Path("/data/events.csv"), inputs, make)
"""


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return cache_in(tmp_path / "cache")


class Maker:
    """Gives a text and counts how often."""

    def __init__(self, text: str = "whole") -> None:
        self.text, self.made = text, 0

    def __call__(self, folder: Path) -> list[bytes]:
        assert folder.is_dir()
        self.made += 1
        return [self.text.encode()]


def text(entry: Entry) -> str:
    return b"".join(entry.stream()).decode()


def halves(cache: Cache) -> list[Path]:
    return list(cache._folder.glob(".events-*"))


def names(cache: Cache) -> list[str]:
    return sorted(path.suffix for path in cache._folder.iterdir())


def test_a_file_is_made_once_for_the_same_inputs_and_again_for_others(cache: Cache) -> None:
    make = Maker()
    first = cache.entry("events", SOURCE, INPUTS, make)
    assert text(first) == "whole"
    assert cache.entry("events", SOURCE, dict(reversed(INPUTS.items())), make) == first
    assert make.made == 1
    assert cache.entry("events", SOURCE, INPUTS | {"version": 2}, make) != first
    assert make.made == 2


def test_only_the_owner_may_look(cache: Cache, tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    for kept in (cache, cache_in(tmp_path / "open")):
        kept.entry("events", SOURCE, INPUTS, Maker())
        paths = [kept._folder, *kept._folder.iterdir()]
        assert {path.stat().st_mode & 0o777 for path in paths[1:]} == {0o600}
        assert paths[0].stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("damage", ["shorter", "a bit", "in clear", "another's", "no seal", "torn seal", "other seal"])
def test_a_damaged_file_is_made_again(cache: Cache, damage: str) -> None:
    make = Maker()
    file = cache.entry("events", SOURCE, INPUTS, make).path
    seal, content = file.with_name(file.name + ".seal"), file.read_bytes()
    match damage:
        case "shorter":
            file.write_bytes(content[:-1])
        case "a bit":
            file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        case "in clear":
            file.write_bytes(b"whole")
        case "another's":
            Cache(cache._folder, keys.temporary()).entry("events", SOURCE, INPUTS, Maker("other"))
        case "no seal":
            seal.unlink()
        case "torn seal":
            seal.write_bytes(seal.read_bytes()[:100])
        case "other seal":
            other = cache.entry("events", SOURCE, INPUTS | {"version": 2}, Maker()).path
            seal.write_bytes(other.with_name(other.name + ".seal").read_bytes())
            file.write_bytes(content)
    assert text(cache.entry("events", SOURCE, INPUTS, make)) == "whole"
    assert make.made == 2


@pytest.mark.parametrize("where", [0, 20, 40, 80, 95, -1])
def test_what_is_changed_behind_its_seal_does_not_open_and_is_made_again(cache: Cache, where: int) -> None:
    make = Maker()
    file = cache.entry("events", SOURCE, INPUTS, make).path
    content = bytearray(file.read_bytes())
    content[where] ^= 1
    file.write_bytes(content)
    cache._note(file)  # as the disk would look if nothing had been touched
    with pytest.raises(EncryptionError):
        text(cache.entry("events", SOURCE, INPUTS, make))
    assert text(cache.entry("events", SOURCE, INPUTS, make)) == "whole"
    file.write_bytes(content)
    cache._note(file)
    assert cache.content("events", SOURCE, INPUTS, lambda: b"whole") == b"whole"


def test_an_entry_passed_off_as_another_does_not_open(cache: Cache) -> None:
    one = cache.entry("events", SOURCE, INPUTS, Maker("one")).path
    other = cache.entry("films", SOURCE, INPUTS, Maker("other"))
    other.path.write_bytes(one.read_bytes())
    with pytest.raises(EncryptionError):
        text(other)


def test_nothing_of_an_entry_is_in_clear(cache: Cache) -> None:
    cache.content("events", SOURCE, INPUTS, lambda: b"patient-4711" * 1000)
    assert all(b"patient-4711" not in path.read_bytes() for path in cache._folder.iterdir())


def test_an_entry_under_a_new_key_is_not_made_again(cache: Cache) -> None:
    make, new = Maker(), keys.temporary()
    cache.entry("events", SOURCE, INPUTS, make)
    for path in cache._folder.iterdir():
        if files.is_encrypted(path):
            assert files.rewrap(path, KEY, new)
    assert text(Cache(cache._folder, new).entry("events", SOURCE, INPUTS, make)) == "whole"
    assert make.made == 1


def test_a_process_killed_in_the_middle_leaves_nothing_half_done(cache: Cache) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(cache._folder)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert halves(cache), "it was not killed in the middle"
    make = Maker()
    assert text(cache.entry("events", SOURCE, INPUTS, make)) == "whole"
    assert make.made == 1
    assert not halves(cache)


def test_several_who_want_the_same_file_make_it_once(cache: Cache) -> None:
    make, started, found = Maker(), threading.Barrier(4), []

    def want() -> None:
        started.wait()
        found.append(text(cache_in(cache._folder).entry("events", SOURCE, INPUTS, make)))

    threads = [threading.Thread(target=want) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (found, make.made) == (["whole"] * 4, 1)


def test_what_fails_leaves_nothing_and_may_be_tried_again(cache: Cache) -> None:
    def fail(folder: Path) -> Iterator[bytes]:
        yield b"half"
        raise DataError("wrong", file="x.csv")

    with pytest.raises(DataError, match="wrong"):
        cache.entry("events", SOURCE, INPUTS, fail)
    assert set(names(cache)) == {".lock"}
    assert text(cache.entry("events", SOURCE, INPUTS, Maker())) == "whole"


def test_a_full_disk_is_said_so_and_other_failures_are_not_called_that(cache: Cache) -> None:
    def full(folder: Path) -> None:
        with Path("/dev/full").open("wb", buffering=0) as disk:
            disk.write(b"x")

    def long(folder: Path) -> None:
        raise OSError(errno.EFBIG, "File too large")

    def forbidden(folder: Path) -> None:
        raise PermissionError(errno.EACCES, "no")

    for make in (full, long):
        with pytest.raises(DataError, match="the disk is full"):
            cache.entry("events", SOURCE, INPUTS, make)
    with pytest.raises(PermissionError):
        cache.entry("events", SOURCE, INPUTS, forbidden)


def entries(cache: Cache) -> list[str]:
    return sorted(text(Entry(path, KEY)) for path in cache._folder.iterdir() if not path.suffix)


def test_a_new_entry_takes_the_place_of_the_old_one_of_its_source_and_name_only(cache: Cache) -> None:
    for source in ("/data/a.csv", "/data/b.csv"):
        cache.entry("events", Path(source), [source, 1], Maker(f"{source} 1"))
    cache.entry("events-implausible", Path("/data/a.csv"), ["/data/a.csv", 1], Maker("implausible"))
    before = len(list(cache._folder.iterdir()))
    cache.entry("events", Path("/data/a.csv"), ["/data/a.csv", 2], Maker("/data/a.csv 2"))
    assert entries(cache) == ["/data/a.csv 2", "/data/b.csv 1", "implausible"]
    assert len(list(cache._folder.iterdir())) == before, "an entry left something behind"


def test_an_entry_of_two_sources_stays_until_neither_needs_it(cache: Cache) -> None:
    for source in ("/data/a.csv", "/data/copy.csv"):
        cache.entry("events", Path(source), INPUTS, Maker("shared"))
    cache.entry("events", Path("/data/a.csv"), 2, Maker("new"))
    assert entries(cache) == ["new", "shared"]
    cache.entry("events", Path("/data/copy.csv"), 2, Maker("never made"))
    cache.entry("events", Path("/data/copy.csv"), 3, Maker("newer"))
    assert entries(cache) == ["new", "newer"]


def test_what_is_held_stays_readable_until_it_is_let_go(cache: Cache) -> None:
    with cache.holding() as reader:
        file = reader.entry("events", SOURCE, 1, Maker("held"))
        cache.entry("events", SOURCE, 2, Maker("new"))
        assert text(file) == "held"
    cache.entry("events", SOURCE, 3, Maker("newest"))
    assert entries(cache) == ["newest"]


def test_what_a_killed_process_left_goes_with_the_next_entry_even_if_its_inputs_never_come_back(cache: Cache) -> None:
    subprocess.run(
        [sys.executable, "-c", KILLED, str(cache._folder)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        check=False,
    )
    assert halves(cache), "it was not killed in the middle"
    cache.entry("events", SOURCE, INPUTS | {"version": 2}, Maker())
    assert sorted(names(cache)) == ["", ".at", ".lock", ".seal"]


def test_contents_are_made_once_and_given_back(cache: Cache) -> None:
    made = []
    for _ in range(2):
        assert cache.content("arrays", SOURCE, INPUTS, lambda: made.append(1) or b"1,2") == b"1,2"
    assert made == [1]


def test_many_who_read_while_the_source_changes_get_whole_files(cache: Cache) -> None:
    found = []

    def read(version: int) -> None:
        for step in range(20):
            text = f"{version + step % 3} " * 1000
            found.append(
                cache_in(cache._folder).content("events", SOURCE, [version + step % 3], text.encode) == text.encode()
            )

    threads = [threading.Thread(target=read, args=(version,)) for version in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 80


def test_a_damaged_file_is_not_sealed_anew_by_looking_at_it(cache: Cache) -> None:
    file = cache.entry("events", SOURCE, INPUTS, Maker()).path
    file.write_text("WHOLE")
    seal = file.with_name(file.name + ".seal")
    before = seal.read_bytes()

    def killed(folder: Path) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.entry("events", SOURCE, INPUTS, killed)
    assert not seal.exists() or seal.read_bytes() == before
    assert text(cache.entry("events", SOURCE, INPUTS, Maker("again"))) == "again"


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cache"):
        cache_in(tmp_path / "file")


def test_digests_are_those_of_the_bytes_and_are_remembered(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "events.csv"
    file.write_bytes(b"1,2,3")
    read = []
    honest = hashlib.file_digest
    monkeypatch.setattr(caching.hashlib, "file_digest", lambda *given: read.append(1) or honest(*given))
    for _ in range(3):
        assert cache.digest(file) == hashlib.sha256(b"1,2,3").hexdigest()
    assert len(read) == 1


def test_a_change_that_keeps_size_and_time_changes_the_digest(cache: Cache, tmp_path: Path) -> None:
    file = tmp_path / "events.csv"
    file.write_bytes(b"1,2,3")
    before, status = cache.digest(file), file.stat()
    file.write_bytes(b"1,2,4")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert file.stat().st_mtime_ns == status.st_mtime_ns
    assert cache.digest(file) == hashlib.sha256(b"1,2,4").hexdigest() != before


def test_a_missing_file_and_one_that_grows_are_refused(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "events.csv"
    with pytest.raises(DataError, match=r"events\.csv"):
        cache.digest(file)
    file.write_bytes(b"1")
    honest = hashlib.file_digest

    def grow(*given):
        file.write_bytes(b"12")
        return honest(*given)

    monkeypatch.setattr(caching.hashlib, "file_digest", grow)
    with pytest.raises(DataError, match="changes while"):
        cache.digest(file)
