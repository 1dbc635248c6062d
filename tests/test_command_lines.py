"""Exit codes are true, errors are one sentence, help teaches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer
from typer.main import get_command

import client.__main__ as client_line
import server.__main__ as server_line
import simulations.__main__ as simulate_line
from common import command_line

LINES = {"fedward-client": client_line, "fedward-server": server_line, "fedward-simulate": simulate_line}


def called(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, program: str, *arguments: str
) -> tuple[int, str]:
    monkeypatch.setattr("sys.argv", [program, *arguments])
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as ended:
        LINES[program].main()
    shown = capsys.readouterr()
    code = ended.value.code
    return (code if isinstance(code, int) else 0), shown.out + shown.err


REFUSED = {
    "no such plan": ("fedward-simulate", ("run", "nosuch"), ["no plan 'nosuch'", "demo", "eicu-mortality"]),
    "no data": ("fedward-simulate", ("run", "eicu-mortality", "--to", "{tmp}"), ["--data"]),
    "no such run": ("fedward-simulate", ("run", "demo", "--to", "{tmp}", "--resume", "x"), ["no simulated run"]),
    "no such site": ("fedward-simulate", ("run", "demo", "--to", "{tmp}", "--sites", "a,b,c"), ["no data for a, b, c"]),
    "no such benchmark": ("fedward-simulate", ("bench", "nosuch"), ["overhead", "sites"]),
    "too few sites": ("fedward-simulate", ("run", "demo", "--sites", "hospital-1"), ["'quorum' is 3"]),
    "no kit": ("fedward-client", ("check", "{tmp}", "--plan", "demo"), ["site.toml", "cannot be read"]),
    "no kit to start": ("fedward-client", ("start", "{tmp}"), ["site.toml"]),
    "no such source": ("fedward-client", ("fetch", "nosuch", "--to", "{tmp}"), ["eicu-demo"]),
    "no log": ("fedward-server", ("audit", "verify", "{tmp}"), ["no audit log"]),
    "not launched": ("fedward-server", ("submit", "demo", "--server", "{tmp}"), ["no coordinator was launched"]),
    "nothing to resume": ("fedward-server", ("resume", "x", "--server", "{tmp}"), ["no run x"]),
    "not provisioned": ("fedward-server", ("launch", "{tmp}"), ["not a provisioned"]),
    "a bad name": ("fedward-server", ("provision", "{tmp}", "--site", "../x"), ["lower-case"]),
}


@pytest.mark.parametrize(("program", "arguments", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_refused_exits_with_1_and_one_sentence(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    program: str,
    arguments: tuple[str, ...],
    said: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    filled = [argument.replace("{tmp}", str(tmp_path)) for argument in arguments]
    code, shown = called(capsys, monkeypatch, program, *filled)
    assert code == 1
    assert all(part in shown for part in ["error:", *said])
    assert "Traceback" not in shown


@pytest.mark.parametrize("program", LINES)
def test_wrong_usage_exits_with_2(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    assert called(capsys, monkeypatch, program, "nosuchcommand")[0] == 2


def test_an_interrupt_exits_with_130(capsys: pytest.CaptureFixture[str]) -> None:
    app = typer.Typer()

    @app.command()
    def wait() -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as ended:
        command_line.run(app, [])
    assert ended.value.code == 130
    capsys.readouterr()


def every_command(
    command: click.Command, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from every_command(below, (*path, name))
    else:
        yield path, command


@pytest.mark.parametrize("program", LINES)
def test_every_command_and_option_is_explained(program: str) -> None:
    found = list(every_command(get_command(LINES[program].app)))
    assert len(found) >= 4
    for path, command in found:
        assert command.help, path
        for parameter in command.params:
            if isinstance(parameter, click.Option) and parameter.name != "help":
                assert parameter.help, (path, parameter.name)
