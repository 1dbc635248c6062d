"""Networks' rounds killed with SIGKILL, at the coordinator and in the middle of a site's training: the same bytes."""

from __future__ import annotations

import random
import signal
import subprocess
import sys

import pytest

from server import results
from simulations.running import prepare, simulate
from tests.networks import SGD, stage, stages
from tests.simulations.comparing import assert_logs_verify, figures

ADAM = {**SGD, "optimizer": "adamw", "batch_size": 32, "learning_rate": 0.01}
PARTED = {**ADAM, "epochs": 1, "rounds_per_epoch": 2, "moments": "kept", "decay": "cosine"}
STAGES = (
    stage("scaffold", strategy="scaffold", rounds=3, dropout=0.2),
    stage("ditto", strategy="ditto", rounds=3, training=ADAM, dropout=0.2),
    stage("fedper", strategy="fedper", rounds=3, training=ADAM),
    stage("stopping", strategy="fedadam", rounds=4, validation=0.3, patience=2, training=ADAM),
    stage("parted", rounds=4, dropout=0.2, training=PARTED),
)

LIVES = """
import os, signal, sys, threading
from pathlib import Path
import duckdb, torch
torch.set_num_threads(1)
from client.training.replicas import Replicas
from server.progress import Progress
from simulations.running import reopen, simulate

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def live(folder, where, number):
    owner, name = (Progress, "step") if where == "coordinator" else (Replicas, "backward")
    undisturbed, calls = getattr(owner, name), []

    def counted(*arguments):
        undisturbed(*arguments)
        calls.append(1)
        if len(calls) == number:
            die()

    setattr(owner, name, counted)
    simulate(reopen(folder))

for life in sys.argv[2:]:
    where, number = life.split(":")
    process = os.fork()
    if not process:
        live(Path(sys.argv[1]), where, int(number))
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
"""


def released(simulation):
    return {path.name: path.read_bytes() for path in simulation.folder.glob("*-seed*.safetensors")}


@pytest.mark.usefixtures("undrawn")
def test_kill_9_of_the_coordinator_and_in_a_sites_training(tmp_path, hospitals, small_plan):
    plan = small_plan({"stages": stages(*STAGES)})
    unbroken = prepare(plan, tmp_path / "unbroken", data=hospitals, engine="in-process")
    expected = simulate(unbroken)
    broken = prepare(plan, tmp_path / "broken", data=hospitals, engine="in-process")
    chance = random.Random()
    lives = [
        f"site:{chance.randint(5, 40)}",
        f"coordinator:{chance.randint(4, 6)}",
        f"site:{chance.randint(5, 100)}",
        f"coordinator:{chance.randint(8, 11)}",
        f"site:{chance.randint(1, 9)}",
        "site:0",
    ]
    done = subprocess.run([sys.executable, "-c", LIVES, broken.folder, *lives], capture_output=True, text=True)
    ends = [-signal.SIGKILL] * 5 + [0]
    assert done.stdout.split() == [str(int(end)) for end in ends], (lives, done.stderr[-2000:])
    assert set(released(broken)) == {f"{one['name']}-seed7-fold0.safetensors" for one in STAGES}
    assert released(broken) == released(unbroken)
    found = results.read(broken.folder / "metrics.json")
    assert figures(found) == figures(expected)
    assert_logs_verify(broken)
