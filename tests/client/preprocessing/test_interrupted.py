"""Ctrl-C ends a command at once, whatever is being decoded, and leaves no process and no word of any."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.client.preprocessing.processes import asleep, gone, living, started, until

PLUG = """
import re
from pathlib import Path

def decode(path, row):
    Path(f"{path}.asleep").touch()
    re.match("(a+)+$", "a" * 60 + "b")  # for years, in C
"""
COMMAND = """
import signal, sys, time
from pathlib import Path
from threading import Thread
sys.path.insert(0, sys.argv[1])
import numpy as np
import plug
import typer
from client.preprocessing.ahead import ahead
from client.preprocessing.decoding import Decoding, decoded
from common import command_line

folder = Path(sys.argv[1])
app = typer.Typer()

def read(folder):
    films = [(folder / str(film), film) for film in range(8)]
    return list(decoded(Decoding("film", plug.decode, {}, (4,), np.float32), films, 2))

@app.command()
def main(_: Path, how: str):
    if how == "itself":
        read(folder)
    elif how == "ahead":
        list(ahead(read, [folder], 1))
    else:
        Thread(target=read, args=[folder], daemon=True).start()
        while True:
            time.sleep(0.1)

signal.signal(signal.SIGINT, signal.default_int_handler)  # which who starts tests in the background ignores
command_line.run(app)
"""


@pytest.mark.parametrize("how", ["itself", "ahead", "a site's thread"])
def test_ctrl_c_ends_a_command_that_waits_for_films(tmp_path: Path, how: str) -> None:
    (tmp_path / "plug.py").write_text(PLUG)
    command = started(COMMAND, str(tmp_path), how, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert asleep(tmp_path)
        decoders = living(command.pid)
        assert len(decoders) == 2
        os.killpg(command.pid, signal.SIGINT)
        said, _ = command.communicate(timeout=10)
    finally:
        command.kill()
    assert said == "", "such as of a process that is interrupted, too"
    assert command.returncode == 130
    assert until(lambda: all(map(gone, decoders)), seconds=5)
