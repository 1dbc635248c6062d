"""However often a run is killed on the way, it ends with the same result."""

from __future__ import annotations

import random
import signal
import subprocess
import sys

import pytest

from client.open_sites import close_sites
from server import results
from simulations.running import reopen, simulate
from tests.simulations.comparing import EXCHANGES, assert_logs_verify, assert_same, models


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("exchange", range(1, EXCHANGES + 1))
def test_killed_in_any_exchange_and_resumed(prepared, killed, unbroken, small_plan, exchange):
    simulation = prepared(small_plan())
    killed(simulation, exchange, "sent")
    assert not (simulation.folder / "metrics.json").exists()
    assert not models(simulation)
    assert_same(simulation, simulate(reopen(simulation.folder)), unbroken)
    assert_logs_verify(simulation)


@pytest.mark.usefixtures("undrawn")
def test_the_exchanges_above_are_all_there_are(prepared, killed, small_plan):
    simulation = prepared(small_plan())
    killed(simulation, EXCHANGES, "before")
    again = prepared(small_plan(), "another")
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        killed(again, EXCHANGES + 1, "before")


@pytest.mark.usefixtures("undrawn")
def test_killed_while_resuming(prepared, killed, unbroken, small_plan):
    """With answers in hand that were not kept yet, and before anything was sent, too."""
    simulation = prepared(small_plan())
    for exchange, moment in ((4, "answered"), (1, "answered"), (2, "answered"), (3, "before"), (2, "sent")):
        killed(simulation, exchange, moment)
    assert_same(simulation, simulate(simulation), unbroken)
    assert_logs_verify(simulation)


@pytest.mark.usefixtures("undrawn")
def test_sites_that_died_too_are_sent_what_they_lost(prepared, killed, unbroken, small_plan):
    simulation = prepared(small_plan())
    killed(simulation, 4, "answered")
    close_sites()
    for file in simulation.files.values():
        for segment in (file.parent / "state" / "models").iterdir():
            segment.unlink()
    assert_same(simulation, simulate(reopen(simulation.folder)), unbroken)


@pytest.mark.usefixtures("undrawn")
def test_a_finished_run_can_be_run_again(prepared, unbroken, small_plan):
    simulation = prepared(small_plan())
    simulate(simulation)
    assert_same(simulation, simulate(reopen(simulation.folder)), unbroken)


LIVES = """
import os, signal, sys, threading
from pathlib import Path
import duckdb, xgboost
from server.progress import Progress
from simulations.running import reopen, simulate

def live(folder, dies_after, seconds):
    step = Progress.step

    def counted(self, stage, number):
        step(self, stage, number)
        if self._done == dies_after:
            threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL)).start()

    Progress.step = counted
    simulate(reopen(folder))

for life in sys.argv[2:]:
    dies_after, seconds = life.split(":")
    process = os.fork()
    if not process:
        live(Path(sys.argv[1]), int(dies_after), float(seconds))
        sys.exit()
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
"""


def test_five_times_kill_9_at_random_points(prepared, unbroken, small_plan):
    """The operating system ends the process; each life goes on where the one before was cut off.

    Lives are forked off a process that has imported everything and done nothing.
    """
    simulation = prepared(small_plan())
    chance = random.Random()
    steps = sorted(chance.sample(range(1, EXCHANGES + 1), 5))
    lives = [*(f"{step}:{chance.uniform(0, 0.05)}" for step in steps), "0:0"]
    done = subprocess.run([sys.executable, "-c", LIVES, simulation.folder, *lives], capture_output=True, text=True)
    ends = [-signal.SIGKILL] * 5 + [0]
    assert done.stdout.split() == [str(int(end)) for end in ends], (lives, done.stderr[-2000:])
    assert_same(simulation, results.read(simulation.folder / "metrics.json"), unbroken)
    assert_logs_verify(simulation)
