"""Several writers make one dense chain, and kill -9 loses nothing that was acknowledged."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from threading import Barrier, Thread

from common.audit.event import Event, Kind
from common.audit.log import AuditLog
from common.audit.verify import verify_file

WRITER = """
import itertools, sys
from pathlib import Path
from common.audit.event import Event, Kind
from common.audit.log import AuditLog
path, writer, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
log = AuditLog(path, "ward-a")
print("ready", flush=True)
sys.stdin.readline()
for number in range(count) if count else itertools.count():
    head = log.append(Event(Kind.MESSAGE_SENT, {"writer": writer, "number": number}))
    print(head.sequence, number, flush=True)
"""


def start_writer(path: Path, writer: str, count: int) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", WRITER, str(path), writer, str(count)]
    return subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def read_rest(process: subprocess.Popen[str]) -> str:
    """Everything up to the end of the process; ``communicate`` would lose what ``readline`` has buffered."""
    with process:
        assert process.stdout is not None
        return process.stdout.read()


def written(path: Path) -> dict[int, tuple[object, object]]:
    """Who wrote what, by sequence."""
    with AuditLog(path, "ward-a") as log:
        entries = [(entry.sequence, entry.event.details) for entry in log.entries()]
    assert [sequence for sequence, _ in entries] == list(range(1, len(entries) + 1))
    return {sequence: (details["writer"], details["number"]) for sequence, details in entries}


def test_four_processes_make_one_dense_chain(tmp_path: Path) -> None:
    path, count = tmp_path / "audit.db", 300
    writers = {name: start_writer(path, name, count) for name in "abcd"}  # they create the log in a race, too
    for process in writers.values():
        assert read_line(process) == "ready\n"
    acknowledged: dict[int, tuple[object, object]] = {}
    for process in writers.values():
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for name, process in writers.items():
        output = read_rest(process)
        assert process.returncode == 0
        pairs = [tuple(map(int, line.split())) for line in output.splitlines()]
        assert [number for _, number in pairs] == list(range(count))
        acknowledged |= {sequence: (name, number) for sequence, number in pairs}
    assert len(acknowledged) == 4 * count
    assert written(path) == acknowledged
    assert verify_file(path).verified == 4 * count
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []


def test_threads_share_one_log_and_open_their_own(tmp_path: Path) -> None:
    path, count = tmp_path / "audit.db", 40
    shared = AuditLog(path, "ward-a")
    barrier = Barrier(8)
    heads: list[int] = []

    def work(writer: str, log: AuditLog | None) -> None:
        barrier.wait()
        with log or AuditLog(path, "ward-a") as own:
            for number in range(count):
                heads.append(own.append(Event(Kind.MESSAGE_SENT, {"writer": writer, "number": number})).sequence)

    threads = [Thread(target=work, args=(str(index), shared if index < 4 else None)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    shared.close()
    assert sorted(heads) == list(range(1, 8 * count + 1))
    assert len(set(written(path).values())) == 8 * count
    assert verify_file(path).verified == 8 * count


def test_killed_writers_lose_nothing_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    moments = random.Random(7)
    acknowledged: list[tuple[int, str, int]] = []
    for run in range(15):
        process = start_writer(path, f"run-{run}", 0)
        assert read_line(process) == "ready\n"
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
        lines = [read_line(process) for _ in range(moments.randrange(1, 40))]
        process.kill()
        lines += [line for line in read_rest(process).splitlines(keepends=True) if line.endswith("\n")]
        for line in lines:
            sequence, number = map(int, line.split())
            acknowledged.append((sequence, f"run-{run}", number))
        assert verify_file(path).ok  # before any writer has repaired anything
    entries = written(path)
    assert all(entries[sequence] == (writer, number) for sequence, writer, number in acknowledged)
    assert Counter(entries.values()).most_common(1)[0][1] == 1
    assert len(entries) - len(acknowledged) <= 15  # at most the one entry each run had no time to acknowledge
