"""Whoever lacks an extra, or misspells a network, is told in a sentence; help is laid out for a narrow terminal."""

from __future__ import annotations

import contextlib
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import typer
from typer.main import get_command

import client.__main__ as client_line
import server.__main__ as server_line
import simulations.__main__ as simulate_line
from client.check.asking import MODALITIES
from common import command_line
from common.exceptions import PlanError
from common.plan import Plan, from_json, read
from common.serialization import canonical, parse
from server import following
from server.settings import RunRequest, of_folder

ROOT = Path(__file__).parents[1]
LINES = {"fedward-client": client_line, "fedward-server": server_line, "fedward-simulate": simulate_line}
WITHOUT = """
import runpy, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {packages}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
sys.argv = {arguments}
runpy.run_module({module!r}, run_name="__main__")
"""


@pytest.mark.parametrize(
    ("module", "arguments", "extra"),
    [
        ("simulations", ("run", "physionet2012-networks", "--data", "{tmp}", "--to", "{tmp}/runs"), "encoders"),
        ("client", ("weights", "densenet121", "{tmp}/weights.pth"), "encoders"),
    ],
)
def test_an_extra_that_is_not_installed_is_a_sentence(
    tmp_path: Path, module: str, arguments: tuple[str, ...], extra: str
) -> None:
    given = [module, *(one.replace("{tmp}", str(tmp_path)) for one in arguments)]
    code = WITHOUT.format(packages={"torch", "opacus", "safetensors"}, arguments=given, module=f"{module}.__main__")
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr == f"error: this needs torch, which the extra '{extra}' brings: pip install -e '.[{extra}]'\n"
    assert not (tmp_path / "runs").exists()


def test_a_package_that_no_extra_brings_is_a_defect_and_not_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    app = typer.Typer()

    @app.command()
    def broken() -> None:
        raise ModuleNotFoundError("No module named 'torchlike'", name="torchlike")

    with pytest.raises(ModuleNotFoundError):
        command_line.run(app, [])
    assert not capsys.readouterr().err


def network_plan(**changes: Any) -> Plan:
    """Return a plan with one network, and something of its stage changed."""
    tree = parse(read("physionet2012-networks").to_json())
    tree["stages"][1] |= changes
    return from_json(canonical(tree).decode())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"strategy": "fedprocks"}, "unknown strategy 'fedprocks'; known for weights: ditto, "),
        ({"strategy": "fedprox", "options": {"proximl": 0.1}}, "out of bounds: proximl; its options: proximal"),
        ({"strategy": "krum"}, "stage gru-d: krum with these options needs 5 sites; there are 4"),
        ({"encoders": {"series": "gru"}}, "unknown encoder 'gru'; known: densenet121, "),
        ({"encoders": {"series": "tabular"}}, "encoder tabular takes a table; series is none"),
    ],
)
def test_a_network_that_cannot_be_trained_is_refused_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    pytest.importorskip("torch", reason="the extra 'encoders' is not installed")
    reached: list[Path] = []

    def connect(folder: Path) -> Any:
        reached.append(folder)
        raise KeyboardInterrupt  # far enough: nothing is to be sent from here

    monkeypatch.setattr(following, "connect", connect)
    console = command_line.console()

    def follow(plan: Plan) -> None:
        following.follow(of_folder(tmp_path), tmp_path, RunRequest("x", plan, "deployment"), console)

    with contextlib.suppress(KeyboardInterrupt):
        follow(network_plan())
    assert len(reached) == 1, "control: the plan as it is shipped goes on"
    with pytest.raises(PlanError) as error:
        follow(network_plan(**changes))
    assert said in str(error.value)
    assert len(reached) == 1
    assert not list(tmp_path.iterdir())


def every_command(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from every_command(below, f"{path} {name}")


@pytest.mark.parametrize("program", LINES)
def test_lines_of_help_fit_80_columns(program: str) -> None:
    """Paragraphs after a command's first are shown line by line: a long line before another is torn apart."""
    for path, command in every_command(get_command(LINES[program].app), program):
        _, *further = inspect.cleandoc(command.help or "").split("\n\n")
        assert all(len(line) <= 78 for paragraph in further for line in paragraph.splitlines()[:-1]), path


def test_help_of_check_names_every_modality() -> None:
    command = get_command(client_line.app)
    assert isinstance(command, click.Group)
    (option,) = [one for one in command.commands["check"].params if one.name == "modality"]
    text = getattr(option, "help", "")
    assert all(name in text for name in MODALITIES)


def test_what_comes_first_in_a_run_comes_first_in_help() -> None:
    command = get_command(simulate_line.app)
    assert isinstance(command, click.Group)
    names = list(command.commands)
    assert (names[0], names[-1]) == ("run", "track")
