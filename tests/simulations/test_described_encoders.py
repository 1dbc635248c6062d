"""The list of encoders names each with what it takes, gives and costs."""

from __future__ import annotations

import io

import pytest

pytest.importorskip("torch", reason="the extra 'encoders' is not installed")

from rich.console import Console
from typer.testing import CliRunner

from common.encoders.base import Settings, find, names
from simulations.__main__ import app
from simulations.described_encoders import all_of, table


def test_every_encoder_is_described_as_it_is() -> None:
    told = {one.name: one for one in all_of(5, 6, 64, Settings(16))}
    assert set(told) == set(names())
    assert {name: one.private for name, one in told.items()} == {name: find(name).PRIVATE for name in names()}
    assert told["tabular"].takes == ((5,), (5,))
    assert told["volume_cnn"].takes == ((1, 16, 16, 16),)
    assert all(one.parameters > 0 for one in told.values())


def test_the_table_tells_it_on_a_narrow_terminal() -> None:
    told = all_of(5, 6, 64, Settings(16))
    console = Console(file=io.StringIO(), width=80, record=True)
    console.print(table(told))
    found = {cells[0]: cells for line in console.export_text().splitlines() if (cells := line.split())}
    assert set(names()) <= set(found)
    parameters = next(one.parameters for one in told if one.name == "tabular")
    assert found["tabular"][:-1] == ["tabular", "table", "5", "valid", "16", f"{parameters:,}"]
    assert found["densenet121"][3] == "frozen"


def test_the_command_prints_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    done = CliRunner().invoke(app, ["encoders", "--columns", "5", "--steps", "6", "--size", "32"])
    assert done.exit_code == 0
    assert all(name in done.output for name in names())
