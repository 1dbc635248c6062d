"""A run with noise killed with SIGKILL at sites and at the coordinator: every byte that was drawn is paid for, once."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from client.open_sites import close_sites, open_site
from common.encoders.weights import to_bytes
from common.networks.building import build
from common.networks.sharing import arrays, shared
from simulations.running import prepare, reopen
from tests.networks import stage, stages
from tests.simulations.comparing import assert_logs_verify

pytestmark = pytest.mark.timeout(900)

ROUNDS = 2
HOW = {"noise_multiplier": 2.0, "delta": 1e-3, "sample_rate": 0.25, "steps": 2}
LIVES = ("common.privacy.ledger/Ledger.reserve/4", "common.privacy.ledger/Ledger.commit/2",
         "server.blobs/Blobs.put/1", "server.blobs/Blobs.put/3", "")  # fmt: skip
"""A reservation, after three of statistics; bytes that are stored; replies not in the checkpoint, twice; no kill."""

LIVE = """
import importlib, os, signal, sys
from pathlib import Path
import duckdb, torch
torch.set_num_threads(1)
from simulations.running import reopen, simulate

def live(folder, place):
    if place:
        module, path, number = place.split("/")
        owner, name = path.split(".")
        owner = getattr(importlib.import_module(module), owner)
        undisturbed, calls = getattr(owner, name), []

        def counted(*arguments):
            found = undisturbed(*arguments)
            calls.append(1)
            if len(calls) == int(number):
                os.kill(os.getpid(), signal.SIGKILL)
            return found

        setattr(owner, name, counted)
    simulate(reopen(folder))

for place in sys.argv[2:]:
    process = os.fork()
    if not process:
        live(Path(sys.argv[1]), place)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
"""


@pytest.fixture(scope="module")
def broken(tmp_path_factory, hospitals, small_plan):
    """Return a run after all its lives."""
    plan = small_plan({"stages": stages(stage("net", rounds=ROUNDS, privacy=HOW, shares="equal"))})
    run = prepare(plan, tmp_path_factory.mktemp("runs") / "broken", data=hospitals, engine="in-process")
    for file in run.files.values():
        file.write_text(file.read_text() + "[privacy]\ndelta = 1e-3\n")
    done = subprocess.run([sys.executable, "-c", LIVE, run.folder, *LIVES], capture_output=True, text=True)
    ends = [-signal.SIGKILL if life else 0 for life in LIVES]
    assert done.stdout.split() == [str(int(end)) for end in ends], done.stderr[-2000:]
    yield reopen(run.folder)
    close_sites()


def entries(broken, site):
    return [one for one in open_site(broken.files[site]).releases.ledger.entries() if not one.release.unprotected]


def test_the_ledgers_count_all_that_was_drawn_and_at_most_what_a_kill_cut(broken):
    purposes = [f"net, seed 7, fold 0, round {number}" for number in range(1, ROUNDS + 1)]
    cut = 0
    for site in broken.files:
        stored = Counter(one.release.purpose for one in entries(broken, site) if one.digest is not None)
        begun = Counter(one.release.purpose for one in entries(broken, site) if one.digest is None)
        assert stored == dict.fromkeys(purposes, 1), "what was stored is sent again, not drawn again"
        assert begun >= stored
        cut += begun.total() - stored.total()
    assert 1 <= cut <= 2 * len(broken.files), "only the first two kills can come between a reservation and its bytes"
    assert_logs_verify(broken)


def test_the_network_is_made_of_the_stored_bytes(broken):
    plan = broken.plan
    site = open_site(broken.files["hospital-1"])
    network = build(plan.encoder("net"), site.inputs(plan), len(plan.label_names), 7, 0)
    expected = dict(arrays(to_bytes(shared(network, "nothing"))))
    for number in range(ROUNDS):
        changes = []
        for name in broken.files:
            one = [each.release for each in entries(broken, name) if each.digest is not None][number]
            data = open_site(broken.files[name]).releases.noised(
                one.name, one.run, plan, one.purpose, one.mechanisms, lambda: pytest.fail("drawn again"), patients=1
            )
            changes.append(arrays(data))
        expected = {key: value + np.mean([each[key] for each in changes], axis=0) for key, value in expected.items()}
    (file,) = broken.folder.glob("net-seed7-fold0.safetensors")
    found = arrays(file.read_bytes())
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, atol=1e-6, rtol=0, err_msg=key)
