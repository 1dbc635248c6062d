"""Exit codes are true, errors are one sentence, help teaches."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import click
import pytest
import typer
from rich.console import Console
from typer.main import get_command

import client.__main__ as client_line
import server.__main__ as server_line
import simulations.__main__ as simulate_line
from common import command_line
from common.audit.log import AuditLog
from common.exceptions import DeploymentError, PlanError
from common.plan import Plan, from_json, read, shipped
from common.serialization import canonical, parse
from server import following
from server.provisioning import provision
from server.results import Results
from server.settings import RunRequest, of_folder
from server.submission import FlowerRun

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
    "not launched": ("fedward-server", ("submit", "demo", "--server", "{tmp}/nosuch"), ["no coordinator was launched"]),
    "a run elsewhere": (
        "fedward-server",
        ("submit", "demo", "--server", "{tmp}/nosuch", "--run", "../../evil"),
        ["a run's name is lower-case"],
    ),
    "nothing to resume": ("fedward-server", ("resume", "x", "--server", "{tmp}"), ["no run x"]),
    "resume elsewhere": ("fedward-server", ("resume", "../../evil", "--server", "{tmp}"), ["a run's name"]),
    "a simulation elsewhere": ("fedward-simulate", ("run", "demo", "--resume", "../evil"), ["a run's name"]),
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
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("program", LINES)
def test_wrong_usage_exits_with_2(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    assert called(capsys, monkeypatch, program, "nosuchcommand")[0] == 2


@pytest.mark.parametrize("option", [("--data", "."), ("--sites", "a"), ("--engine", "ray")])
def test_what_a_resumed_run_has_settled_is_not_asked_again(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, option: tuple[str, str]
) -> None:
    code, shown = called(capsys, monkeypatch, "fedward-simulate", "run", "demo", "--resume", "x", *option)
    assert (code, "leave out" in shown) == (2, True)


def test_files_that_are_not_there_are_a_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with AuditLog(tmp_path / "audit.sqlite", "coordinator"):
        pass
    missing = str(tmp_path / "missing" / "heads.json")
    code, shown = called(capsys, monkeypatch, "fedward-server", "audit", "verify", str(tmp_path), "--heads", missing)
    assert (code, "does not exist" in shown) == (2, True)
    code, shown = called(capsys, monkeypatch, "fedward-server", "audit", "heads", str(tmp_path), "--to", missing)
    assert code == 1
    assert re.match(r"error: .*missing.*: No such file or directory\n$", shown)


def test_an_interrupt_exits_with_130(capsys: pytest.CaptureFixture[str]) -> None:
    app = typer.Typer()

    @app.command()
    def wait() -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as ended:
        command_line.run(app, [])
    assert ended.value.code == 130
    capsys.readouterr()


# --- a coordinator's commands


def test_provision_says_who_can_reach_the_coordinator(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for address, alone in (("127.0.0.1:18000", True), ("ward.example:443", False)):
        given = ["provision", str(tmp_path / str(alone)), "--site", "alder", "--address", address]
        code, shown = called(capsys, monkeypatch, "fedward-server", *given)
        assert (code, "this machine only" in shown) == (0, alone)
        assert f"at {address}" in shown


@pytest.mark.parametrize(
    ("age", "said"), [(300, None), (336, "expires in 28 days"), (400, "has expired")], ids=["young", "old", "dead"]
)
def test_launch_warns_before_the_certificate_expires(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, age: int, said: str | None
) -> None:
    provision(tmp_path, sites=[], clock=lambda: datetime.now(UTC) - timedelta(days=age))
    monkeypatch.setattr("server.launching.launch", lambda *_given, ready, **_named: ready("127.0.0.1:1"))
    _, shown = called(capsys, monkeypatch, "fedward-server", "launch", str(tmp_path))
    assert "coordinator ready on 127.0.0.1:1" in shown
    assert ("the certificate" in shown, (said or "") in shown) == (said is not None, True)


class Launched:
    """Stands in for a coordinator that was launched."""

    def close(self) -> None:
        """Do nothing."""


def followed(monkeypatch: pytest.MonkeyPatch, folder: Path, ended: FlowerRun | KeyboardInterrupt, plan: Plan) -> str:
    """Follow a run of a coordinator that ends it at once; return what was shown."""

    def submit(*_given: object, **_named: object) -> FlowerRun:
        if isinstance(ended, KeyboardInterrupt):
            raise ended
        return ended

    monkeypatch.setattr(following, "connect", lambda _folder: Launched())
    monkeypatch.setattr(following, "submit", submit)
    shown = io.StringIO()
    with contextlib.suppress(KeyboardInterrupt):
        following.follow(of_folder(folder), folder, RunRequest("x", plan, "deployment"), Console(file=shown, width=500))
    return shown.getvalue()


def test_a_failed_run_tells_its_own_reason_and_not_that_of_an_earlier_try(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "runs/x").mkdir(parents=True)
    (tmp_path / "runs/x/failure.json").write_text('{"code": "QuorumError", "message": "of yesterday"}')
    ended = FlowerRun(1, "failed", "ServerApp failed with exception: the run is in use", "")
    with pytest.raises(DeploymentError, match=r"^run x failed: the run is in use$"):
        followed(monkeypatch, tmp_path, ended, read("demo"))


def test_whoever_stops_waiting_is_told_that_the_run_goes_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shown = followed(monkeypatch, tmp_path, KeyboardInterrupt(), read("demo"))
    assert "run x goes on" in shown
    assert f"fedward-server resume x --server {tmp_path}" in shown
    assert from_json((tmp_path / "runs/x/plan.json").read_text()) == read("demo")


def test_a_plan_that_cannot_be_run_is_refused_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tree = parse(read("demo").to_json())
    tree["stages"][1]["strategy"] = "nosuch"
    unknown, nobody = from_json(canonical(tree).decode()), read("demo").inviting(())
    for plan, said in ((unknown, "unknown strategy 'nosuch'"), (nobody, r"'sites\.names'.*--sites")):
        with pytest.raises(PlanError, match=said):
            followed(monkeypatch, tmp_path, KeyboardInterrupt(), plan)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(("share", "told"), [("summary", True), ("curves", False)])
def test_whoever_submits_a_plan_is_told_which_figures_it_does_without(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, share: str, told: bool
) -> None:
    tree = parse(read("demo").to_json())
    tree["stages"][-1]["share"] = share
    plan = from_json(canonical(tree).decode())
    shown = followed(monkeypatch, tmp_path, KeyboardInterrupt(), plan)
    assert f"run x: {plan.title}" in shown
    assert ("no figures over all sites" in shown) == told


def test_names_given_by_a_site_are_shown_as_they_are() -> None:
    evil = "[red]apache[/blue]"
    found = SimpleNamespace(
        synthetic=(),
        only_synthetic=False,
        plan=read("demo").to_json(),
        candidates=[SimpleNamespace(name=evil, kind="reference", scores=[])],
        sites=[SimpleNamespace(name="[bold]alder")],
    )
    for console in (Console(), command_line.console()):
        with console.capture() as shown:
            console.print(following.results_table(cast(Results, found)))
        assert evil in shown.get()
        assert "[bold]alder" in shown.get()


# --- a site's commands


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the tables of one synthetic hospital."""
    from simulations.synthetic.eicu_layout import generate

    folder = tmp_path_factory.mktemp("hospital")
    generate(1, 150, 5, folder)
    return folder


@pytest.mark.parametrize(
    ("policy", "asked", "said"),
    [
        ("curves", "curves", None),
        ("summary", "curves", "its patients do not count in figures over all sites"),
        ("curves", "summary", "no figures over all sites"),
        ("summary", "summary", "no figures over all sites"),
    ],
)
def test_check_says_which_figures_there_will_not_be(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    hospital: Path,
    policy: str,
    asked: str,
    said: str | None,
) -> None:
    allows = f'[policy]\ntasks = ["in_hospital_mortality"]\nshare = "{policy}"\n'
    (tmp_path / "site.toml").write_text(f'name = "alder"\n[data]\nsource = "eicu"\nfolder = "{hospital}"\n{allows}')
    plan = tmp_path / "plan.toml"
    plan.write_text(shipped()["demo"].replace('share = "curves"', f'share = "{asked}"'))
    code, shown = called(capsys, monkeypatch, "fedward-client", "check", str(tmp_path), "--plan", str(plan))
    assert (code, "alder can take part in demo" in shown) == (0, True)
    assert ("figures over all sites" in shown, (said or "") in shown) == (said is not None, True)


# --- help


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


@pytest.mark.parametrize("program", LINES)
def test_help_shows_every_word_of_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    for path, command in every_command(get_command(LINES[program].app)):
        _, shown = called(capsys, monkeypatch, program, *path, "--help")
        words = " ".join(re.sub("[│╭╮╰╯─]", " ", shown).split())
        for parameter in command.params:
            help_text = getattr(parameter, "help", None) or ""
            assert help_text in words, (path, parameter.name)


def test_the_digest_of_weights_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch", reason="the extra 'encoders' is not installed")
    from common.encoders.weights import digest

    state = {"weight": torch.arange(4.0)}
    torch.save(state, tmp_path / "weights.pth")
    arguments = ("weights", "resnet", str(tmp_path / "weights.pth"))
    assert called(capsys, monkeypatch, "fedward-client", *arguments) == (0, f"{digest(state)}\n")
