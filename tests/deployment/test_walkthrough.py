"""The walk-through and every command of README.md and SECURITY.md, typed by a machine."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from client.fetching import SOURCES
from common.plan import shipped
from simulations.synthetic.eicu_layout import generate
from tests.deployment.probing import ROOT, free_port

pytestmark = [pytest.mark.deployment, pytest.mark.timeout(960)]

PLACEHOLDERS = {" kit": " coordinator/kits/hospital-1", "KIT": "coordinator/kits/hospital-1", "FOLDER": "coordinator",
                "RUN": "first"}  # fmt: skip
DONE_BY_THE_WALKTHROUGH = ("fedward-server provision", "fedward-server launch", "fedward-server submit",
                           "fedward-client start")  # fmt: skip


def commands(file: str) -> list[str]:
    """Commands of a document's console blocks, here-documents and loops included."""
    blocks = re.findall(r"```console\n(.*?)```", (ROOT / file).read_text(encoding="utf-8"), flags=re.S)
    found = [command for block in blocks for command in re.split(r"^\$ ", block, flags=re.M) if command.strip()]
    return [re.sub(r" +# .*$", "", command, flags=re.M).strip() for command in found]


def filled_in(command: str) -> str:
    for placeholder, value in PLACEHOLDERS.items():
        command = re.sub(rf"{placeholder}\b", value, command)
    return command


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An HTTP server that publishes synthetic hospitals under the real set's file names."""
    folder = tmp_path_factory.mktemp("published")
    generate(4, 150, 3, folder)
    by_name = {file.name.lower(): file for file in folder.iterdir()}
    for name in SOURCES["eicu-demo"].files:
        by_name[name.lower()].rename(folder / name)
    sums = [f"{hashlib.sha256(f.read_bytes()).hexdigest()} {f.name}\n" for f in sorted(folder.glob("*.gz"))]
    (folder / "SHA256SUMS.txt").write_text("".join(sums))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def one_repetition(plan: str) -> str:
    """Shorten a plan of many seeds and folds; the rest of it stays."""
    return re.sub(r"^(seeds|held_out) = \[(\d+), .*\]$", r"\1 = [\2]", plan, flags=re.M)


def run(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a script, and end all that it started in the background, however it ended."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    process = subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env={**os.environ, "PATH": path, "COLUMNS": "160"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(timeout=900)
        return subprocess.CompletedProcess(script, process.returncode, output, errors)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def test_every_command_of_the_documents_works(tmp_path: Path, mirror: str) -> None:
    address = f"127.0.0.1:{free_port()}"
    *walk, stop = commands("deploy/local/README.md")
    assert stop.startswith("kill")
    documented = [filled_in(command) for file in ("README.md", "SECURITY.md") for command in commands(file)]
    rest = [c for c in documented if not c.startswith((*DONE_BY_THE_WALKTHROUGH, "make "))]
    assert {
        c.split(" --")[0].split(" coordinator")[0] for c in documented if c.startswith(DONE_BY_THE_WALKTHROUGH)
    } <= {c.split(" --")[0].split(" coordinator")[0] for c in walk} | {"fedward-server submit demo"}
    script = "\n".join([f"trap '{stop}' EXIT", *walk, *rest])
    script = re.sub(r"^fedward-server provision .*$", rf"\g<0> --address {address}", script, flags=re.M)
    script = script.replace("fedward-simulate run eicu-mortality ", "fedward-simulate run one-of-fifteen.toml ")
    (tmp_path / "one-of-fifteen.toml").write_text(one_repetition(shipped()["eicu-mortality"]))
    script = re.sub(r"^fedward-client fetch .*$", rf"\g<0> --mirror {mirror}", script, flags=re.M)

    ended = run(script, tmp_path)

    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    assert "confirmed by a head held by coordinator" in ended.stdout
    assert len(list(tmp_path.glob("runs/*/report.html"))) == 3
    assert len(list(tmp_path.glob("runs/eicu-mortality-*/fedxgb_bagging-seed11-fold0.json"))) == 1
    assert (tmp_path / "coordinator" / "runs" / "first" / "report.html").is_file()


def test_make_demo_runs_the_demo_and_make_test_the_tests() -> None:
    shown = {goal: run(f"make --dry-run --always-make {goal}", ROOT).stdout for goal in ("demo", "test")}
    assert "fedward-simulate run demo" in shown["demo"]
    assert "pip install" in shown["demo"]
    assert all(tool in shown["test"] for tool in ("ruff check", "mypy", "lint-imports", "pytest"))
    assert {command for command in commands("README.md") if command.startswith("make")} == {"make demo", "make test"}
